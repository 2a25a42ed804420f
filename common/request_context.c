/* SPDX-License-Identifier: Apache-2.0 */
/* See request_context.h. Protocol: nova/context.py:RequestContext.to_dict, oslo_messaging
 * amqp.pack_context. */
#include "common/request_context.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/id.h"
#include "common/json.h"
#include "common/secret.h"

#define PREFIX "_context_"
#define PREFIX_LENGTH (sizeof(PREFIX) - 1)

static const char *string_or_empty(const json_t *values, const char *key)
{
    const char *string = json_string_member(values, key);
    return string ? string : "";
}

/* Header values: a line break in one would smuggle a header into a REST request. */
static int check_header_value(const json_t *values, const char *key, struct error *err)
{
    const json_t *value = json_object_get(values, key);
    const char *text = json_string_value(value);
    if (!text)
        return 0;
    bool clean = strlen(text) == json_string_length(value);
    for (; clean && *text != '\0'; text++)
        clean = (unsigned char)*text >= ' ' && *text != 0x7f;
    if (!clean)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "context key '%s' contains a control character", key);
    return 0;
}

/* Takes `values`. */
static int from_values(json_t *values, struct request_context **ret_context, struct error *err)
{
    static const char *const headers[] = {"request_id", "global_request_id", "auth_token"};
    for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
        int r = check_header_value(values, headers[i], err);
        if (r < 0) {
            json_decref(values);
            return r;
        }
    }
    struct request_context *context = calloc(1, sizeof(*context));
    if (!context) {
        json_decref(values);
        return error_nomem(err);
    }
    const json_t *catalog = json_object_get(values, "service_catalog");
    *context = (struct request_context){
        .values = values,
        .request_id = string_or_empty(values, "request_id"),
        .global_request_id = string_or_empty(values, "global_request_id"),
        .user_id = string_or_empty(values, "user_id"),
        .project_id = string_or_empty(values, "project_id"),
        .auth_token = string_or_empty(values, "auth_token"),
        .service_catalog = json_is_array(catalog) ? catalog : NULL,
    };
    if (!secret_watch(context->auth_token)) {
        request_context_free(context);
        return error_nomem(err);
    }
    *ret_context = context;
    return 0;
}

int request_context_from_message(const json_t *message, struct request_context **ret_context,
                                 struct error *err)
{
    json_t *values = json_object();
    if (!values)
        return error_nomem(err);
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)message, key, value) {
        if (strncmp(key, PREFIX, PREFIX_LENGTH) == 0 &&
            json_object_set(values, key + PREFIX_LENGTH, value) < 0) {
            json_decref(values);
            return error_nomem(err);
        }
    }
    return from_values(values, ret_context, err);
}

int request_context_from_values(const json_t *values, struct request_context **ret_context,
                                struct error *err)
{
    json_t *copy = json_deep_copy(values);
    return copy ? from_values(copy, ret_context, err) : error_nomem(err);
}

int request_context_new_admin(struct request_context **ret_context, struct error *err)
{
    char request_id[ID_REQUEST_ID_SIZE];
    id_new_request_id(request_id);
    json_t *values = json_pack("{s:b, s:s, s:s, s:[s]}", "is_admin", 1, "request_id", request_id,
                               "read_deleted", "no", "roles", "admin");
    if (!values)
        return error_nomem(err);
    return from_values(values, ret_context, err);
}

static bool has_role(const json_t *roles, const char *role)
{
    size_t i;
    json_t *entry;
    json_array_foreach (roles, i, entry) {
        const char *name = json_string_value(entry);
        if (name && strcmp(name, role) == 0)
            return true;
    }
    return false;
}

int request_context_elevated(const struct request_context *context,
                             struct request_context **ret_context, struct error *err)
{
    json_t *values = json_deep_copy(context->values);
    const json_t *old = json_object_get(values, "roles");
    json_t *roles = json_is_array(old) ? json_copy((json_t *)(uintptr_t)old) : json_array();
    int failed = !values || !roles;
    if (!failed && !has_role(roles, "admin"))
        failed = json_array_append_new(roles, json_string("admin")) < 0;
    failed = failed || json_object_set(values, "roles", roles) < 0 ||
             json_object_set_new(values, "is_admin", json_true()) < 0;
    json_decref(roles);
    if (failed) {
        json_decref(values);
        return error_nomem(err);
    }
    return from_values(values, ret_context, err);
}

int request_context_add_to_message(const struct request_context *context, json_t *message,
                                   struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach (context->values, key, value) {
        char name[128];
        size_t length = strlen(key);
        if (length >= sizeof(name) - PREFIX_LENGTH)
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "a context key is %zu bytes long",
                             length);
        memcpy(name, PREFIX, PREFIX_LENGTH);
        memcpy(name + PREFIX_LENGTH, key, length + 1);
        /* A copy: not even a reference count of ours may change, others read the context too. */
        if (json_object_set_new(message, name, json_deep_copy(value)) < 0)
            return error_nomem(err);
    }
    return 0;
}

const char *request_context_global_id(const struct request_context *context)
{
    return context->global_request_id[0] != '\0' ? context->global_request_id : context->request_id;
}

void request_context_free(struct request_context *context)
{
    if (!context)
        return;
    secret_unwatch(context->auth_token);
    json_decref(context->values);
    free(context);
}
