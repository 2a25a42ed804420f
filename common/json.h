/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What jansson leaves to its callers: bounds on what comes from outside, and typed look-ups that
 * say what is missing.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/error.h"

/* A value takes up to 180 bytes, were it written in three: "{},". What Nova and the services send
 * has some thousands. */
#define JSON_VALUES_MAX 250000

/*
 * Parses `length` bytes of JSON text that came from outside: at most `max_bytes` and
 * JSON_VALUES_MAX values, no duplicate keys kept, nesting bounded by jansson (2048). `what` names
 * it in the error. EMSGSIZE, EBADMSG. Returns owned.
 */
int json_parse(const char *text, size_t length, size_t max_bytes, const char *what,
               json_t **ret_value, struct error *err);

/* The JSON text in a string member of what json_parse() gave, parsed as well. NULL when it is
 * absent or cannot be read. Owned. */
json_t *json_parse_member(const json_t *object, const char *key);

/* The string member `key` of `object`; NULL when it is absent or no string. Borrowed. */
const char *json_string_member(const json_t *object, const char *key);

/* Like json_string_member(), but EINVAL naming `what` and `key` when absent. Borrowed. */
int json_need_string(const json_t *object, const char *key, const char *what,
                     const char **ret_string, struct error *err);

/* The object member `key`; EINVAL naming `what` and `key` when absent. Borrowed. */
int json_need_object(const json_t *object, const char *key, const char *what, json_t **ret_object,
                     struct error *err);
