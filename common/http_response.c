/* SPDX-License-Identifier: Apache-2.0 */
/* See http_response.h. */
#include "common/http_response.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/secret.h"

#define RETRY_AFTER_MAX_S 3600
#define REASON_SOURCE_BYTES (64u << 10)
#define SECRET_BYTES (32u << 10) /* in any of its forms */

int http_response_add_header(struct http_response *response, const char *name, const char *value,
                             struct error *err)
{
    if (response->header_count >= HTTP_ANSWER_HEADERS_MAX)
        return error_set(err, EMSGSIZE, EXC_INTERNAL_ERROR, "the answer has more than %d headers",
                         HTTP_ANSWER_HEADERS_MAX);
    struct http_answer_header *larger =
        reallocarray(response->headers, response->header_count + 1, sizeof(*larger));
    if (!larger)
        return error_nomem(err);
    response->headers = larger;
    struct http_answer_header copy = {strdup(name), strdup(value)};
    if (!copy.name || !copy.value) {
        free(copy.name);
        secret_free(copy.value);
        return error_nomem(err);
    }
    response->headers[response->header_count++] = copy;
    return 0;
}

void http_response_strip(struct http_response *response)
{
    char *body = response->body;
    bool is_cut = response->body_bytes > REASON_SOURCE_BYTES;
    if (is_cut)
        body[REASON_SOURCE_BYTES] = '\0';
    secret_strip(body);
    response->body_bytes = strlen(body);
    if (!is_cut)
        return;
    /* Perhaps inside a secret. */
    response->body_bytes -=
        response->body_bytes < SECRET_BYTES ? response->body_bytes : SECRET_BYTES;
    body[response->body_bytes] = '\0';
}

const char *http_response_header(const struct http_response *response, const char *name)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (strcasecmp(response->headers[i].name, name) == 0)
            return response->headers[i].value;
    return NULL;
}

unsigned http_response_retry_after_ms(const struct http_response *response)
{
    const char *value = http_response_header(response, "Retry-After");
    if (!value || !isdigit((unsigned char)*value))
        return 0;
    char *end;
    unsigned long seconds = strtoul(value, &end, 10);
    if (*end != '\0')
        return 0;
    return (unsigned)(seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S) * 1000;
}

int http_response_json(const struct http_response *response, const char *what, json_t **ret_value,
                       struct error *err)
{
    const char *type = http_response_header(response, "Content-Type");
    if (!type || strncasecmp(type, "application/json", strlen("application/json")) != 0)
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "%s is not sent as JSON", what);
    return json_parse(response->body, response->body_bytes, HTTP_BODY_MAX_BYTES, what, ret_value,
                      err);
}

/* {"message": ...} or {"<kind>": {"message": ...}}. Borrowed. */
static const char *json_message(json_t *value)
{
    const char *message = json_string_member(value, "message");
    const char *key;
    json_t *member;
    json_object_foreach (value, key, member) {
        if (message)
            break;
        message = json_string_member(member, "message");
    }
    return message;
}

/* Printable ASCII; everything else is one space, and so are tags: Glance has them in JSON too. */
static void copy_printable(char *reason, size_t used, const char *text)
{
    bool space = true;
    bool tag = false;
    for (const char *c = text; *c != '\0' && used < HTTP_REASON_SIZE - 1; c++) {
        bool end = tag && *c == '>';
        tag = (tag && !end) || (*c == '<' && (isalpha((unsigned char)c[1]) || c[1] == '/'));
        bool separator = tag || end || *c <= ' ' || *c >= 0x7f;
        if (!separator)
            reason[used++] = *c;
        else if (!space)
            reason[used++] = ' ';
        space = separator;
    }
    reason[used] = '\0';
}

void http_response_reason(const struct http_response *response, char ret_reason[HTTP_REASON_SIZE])
{
    struct error ignored = ERROR_INIT;
    json_t *value = NULL;
    const char *text = NULL;
    if (http_response_json(response, "answer", &value, &ignored) == 0)
        text = json_message(value);
    if (!text)
        text = strcasestr(response->body, "<body");
    int used = snprintf(ret_reason, HTTP_REASON_SIZE, "%u: ", response->status);
    copy_printable(ret_reason, (size_t)used, text ? text : response->body);
    size_t length = strlen(ret_reason);
    while (length > 0 && (ret_reason[length - 1] == ' ' || ret_reason[length - 1] == ':'))
        ret_reason[--length] = '\0';
    json_decref(value);
}

void http_response_done(struct http_response *response)
{
    if (!response)
        return;
    for (size_t i = 0; i < response->header_count; i++) {
        free(response->headers[i].name);
        secret_free(response->headers[i].value);
    }
    free(response->headers);
    if (response->body)
        explicit_bzero(response->body, response->body_bytes);
    free(response->body);
    *response = (struct http_response){0};
}
