/* SPDX-License-Identifier: Apache-2.0 */
/* See http_head.h. */
#include "common/http_head.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/secret.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The value may be a token. */
static int add_header(struct http_response *answer, const char *line, size_t name_length,
                      size_t length, struct error *err)
{
    const char *value = line + name_length + 1;
    size_t value_length = length - name_length - 1;
    for (; value_length > 0 && is_blank(*value); value_length--)
        value++;
    while (value_length > 0 && is_blank(value[value_length - 1]))
        value_length--;
    cleanup_free char *name = strndup(line, name_length);
    char *text = strndup(value, value_length);
    int r = name && text ? http_response_add_header(answer, name, text, err) : error_nomem(err);
    secret_free(text);
    return r;
}

int http_head_add(struct http_head *head, const char *line, size_t length, struct error *err)
{
    static const char status[] = "HTTP/";
    if (!head->is_open && length >= strlen(status) && memcmp(line, status, strlen(status)) == 0) {
        http_response_done(&head->answer);
        *head = (struct http_head){.is_open = true};
        return 0;
    }
    if (!head->is_open)
        return 0;
    if (length > HTTP_HEAD_MAX_BYTES - head->bytes)
        return error_set(err, EMSGSIZE, EXC_INTERNAL_ERROR, "the answer's head is too large");
    head->bytes += length;
    head->is_open = length > 0 && line[0] != '\r' && line[0] != '\n';
    const char *colon = memchr(line, ':', length);
    if (!head->is_open || !colon || colon == line || is_blank(line[0]))
        return 0;
    return add_header(&head->answer, line, (size_t)(colon - line), length, err);
}
