/* SPDX-License-Identifier: Apache-2.0 */
/* See interpolate.h. Names are [_a-z][._a-z0-9]* in any case, as in oslo_config.cfg:Template. */
#include "conf/interpolate.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

struct output {
    char *text;
    size_t length;
};

static int append_text(struct output *out, const char *text, size_t length, struct error *err)
{
    if (length > INTERPOLATED_MAX_BYTES - out->length)
        return error_set(err, EMSGSIZE, EXC_INTERNAL_ERROR, "a value grows beyond %d bytes",
                         INTERPOLATED_MAX_BYTES);
    memcpy(out->text + out->length, text, length);
    out->length += length;
    out->text[out->length] = '\0';
    return 0;
}

static size_t name_length(const char *text)
{
    if (!isalpha((unsigned char)*text) && *text != '_')
        return 0;
    size_t length = 1;
    while (isalnum((unsigned char)text[length]) || text[length] == '_' || text[length] == '.')
        length++;
    return length;
}

/* The name after a '$': its start and length, and what to skip with braces. 0 when there is none.
 */
static size_t find_name(const char *text, const char **ret_name, size_t *ret_skip)
{
    bool braces = *text == '{';
    const char *name = text + braces;
    size_t length = name_length(name);
    if (length == 0 || (braces && name[length] != '}'))
        return 0;
    *ret_name = name;
    *ret_skip = length + 2U * braces;
    return length;
}

static int append_variable(struct output *out, const char *name, size_t length,
                           interpolate_resolve resolve, void *arg, struct error *err)
{
    cleanup_free char *copy = strndup(name, length);
    cleanup_free char *value = NULL;
    if (!copy)
        return error_nomem(err);
    int r = resolve(arg, copy, &value, err);
    return r < 0 ? r : append_text(out, value, strlen(value), err);
}

int interpolate(const char *text, interpolate_resolve resolve, void *arg, char **ret_text,
                struct error *err)
{
    cleanup_free char *buffer = calloc(1, INTERPOLATED_MAX_BYTES + 1);
    if (!buffer)
        return error_nomem(err);
    struct output out = {.text = buffer};
    while (*text != '\0') {
        const char *name;
        size_t skip, length;
        int r;
        if ((text[0] == '$' || text[0] == '\\') && text[1] == '$') {
            r = append_text(&out, "$", 1, err);
            text += 2;
        } else if (text[0] == '$' && (length = find_name(text + 1, &name, &skip)) > 0) {
            r = append_variable(&out, name, length, resolve, arg, err);
            text += 1 + skip;
        } else {
            r = append_text(&out, text++, 1, err);
        }
        if (r < 0)
            return r;
    }
    char *result = strdup(buffer);
    explicit_bzero(buffer, out.length);
    if (!result)
        return error_nomem(err);
    *ret_text = result;
    return 0;
}
