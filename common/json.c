/* See json.h. */
#include "common/json.h"

#include <errno.h>
#include <string.h>

int json_parse(const char *text, size_t length, size_t max_bytes, const char *what,
               json_t **ret_value, struct error *err)
{
    if (length > max_bytes)
        return error_set(err, EMSGSIZE, EXC_INTERNAL_ERROR, "%s is %zu bytes long, more than %zu",
                         what, length, max_bytes);
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
