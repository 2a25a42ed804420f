/* SPDX-License-Identifier: Apache-2.0 */
/* See json.h. */
#include "common/json.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* As many as there may be: one, and one more for each comma and each beginning of an array or
 * object. */
static size_t count_values(const char *text, size_t length)
{
    size_t n = 1;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            in_string = !in_string;
        else if (in_string && text[i] == '\\')
            i++;
        else if (!in_string && (text[i] == ',' || text[i] == '[' || text[i] == '{'))
            n++;
    }
    return n;
}

int json_parse(const char *text, size_t length, size_t max_bytes, const char *what,
               json_t **ret_value, struct error *err)
{
    if (length > max_bytes)
        return error_set(err, EMSGSIZE, EXC_INTERNAL_ERROR, "%s is %zu bytes long, more than %zu",
                         what, length, max_bytes);
    if (count_values(text, length) > JSON_VALUES_MAX)
        return error_set(err, EMSGSIZE, EXC_INTERNAL_ERROR, "%s has more than %d values", what,
                         JSON_VALUES_MAX);
    json_error_t json_error;
    json_t *value = json_loadb(text, length, JSON_DECODE_ANY, &json_error);
    if (!value) {
        /* jansson goes on with "near '<the text there>'", which may be part of a secret. */
        char *near = strstr(json_error.text, " near ");
        if (near)
            *near = '\0';
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "%s is no JSON: %s at byte %d", what,
                         json_error.text, json_error.position);
    }
    *ret_value = value;
    return 0;
}

json_t *json_parse_member(const json_t *object, const char *key)
{
    const char *text = json_string_member(object, key);
    json_t *value = NULL;
    struct error ignored = ERROR_INIT;
    if (text)
        (void)json_parse(text, strlen(text), strlen(text), key, &value, &ignored);
    return value;
}

const char *json_string_member(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

int json_need_string(const json_t *object, const char *key, const char *what,
                     const char **ret_string, struct error *err)
{
    const char *string = json_string_member(object, key);
    if (!string)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s has no string '%s'", what, key);
    *ret_string = string;
    return 0;
}

int json_need_object(const json_t *object, const char *key, const char *what, json_t **ret_object,
                     struct error *err)
{
    json_t *member = json_object_get(object, key);
    if (!json_is_object(member))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s has no object '%s'", what, key);
    *ret_object = member;
    return 0;
}
