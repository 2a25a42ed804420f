/* SPDX-License-Identifier: Apache-2.0 */
/* See rpc_request.h. */
#include "amqp/rpc_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/oslo_message.h"
#include "common/cleanup.h"

static int bad_member(const char *key, const char *what, struct error *err)
{
    return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "the request's '%s' is %s", key, what);
}

/* Copies a string member that may be absent or null; *ret_copy stays as it is then. */
static int copy_request_member(const json_t *message, const char *key, char **ret_copy,
                               struct error *err)
{
    const json_t *value = json_object_get(message, key);
    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return bad_member(key, "no string", err);
    if (json_string_length(value) > OSLO_NAME_MAX_BYTES)
        return bad_member(key, "longer than 255 bytes", err);
    char *copy = strdup(json_string_value(value));
    if (!copy)
        return error_nomem(err);
    free(*ret_copy);
    *ret_copy = copy;
    return 0;
}

static int copy_strings(const json_t *message, struct rpc_request *request, struct error *err)
{
    /* oslo's dispatcher takes a missing version for 1.0. */
    request->version = strdup("1.0");
    request->unique_id = strdup("");
    if (!request->version || !request->unique_id)
        return error_nomem(err);
    const struct {
        const char *key;
        char **copy;
    } members[] = {
        {"method", &request->method},   {"namespace", &request->namespace},
        {"version", &request->version}, {"_unique_id", &request->unique_id},
        {"_msg_id", &request->msg_id},  {"_reply_q", &request->reply_q},
    };
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        int r = copy_request_member(message, members[i].key, members[i].copy, err);
        if (r < 0)
            return r;
    }
    if (!request->method)
        return bad_member("method", "missing", err);
    if (request->msg_id && !request->reply_q)
        return bad_member("_reply_q", "missing although there is a '_msg_id'", err);
    return 0;
}

static int fill_request(const json_t *message, struct rpc_request *request, struct error *err)
{
    int r = copy_strings(message, request, err);
    if (r < 0)
        return r;
    json_t *args = json_object_get(message, "args");
    if (args && !json_is_object(args))
        return bad_member("args", "no object", err);
    request->args = args ? json_incref(args) : json_object();
    if (!request->args)
        return error_nomem(err);
    const json_t *timeout = json_object_get(message, "_timeout");
    double timeout_s = json_is_number(timeout) ? json_number_value(timeout) : 0;
    request->call_monitor_timeout_s = timeout_s >= 2 && timeout_s < 1e6 ? (unsigned)timeout_s : 0;
    return request_context_from_message(message, &request->context, err);
}

int rpc_request_unpack(const char *body, size_t length, struct rpc_request **ret_request,
                       struct error *err)
{
    json_t *message = NULL;
    int r = oslo_message_unpack(body, length, &message, err);
    if (r < 0)
        return r;
    struct rpc_request *request = calloc(1, sizeof(*request));
    r = request ? fill_request(message, request, err) : error_nomem(err);
    json_decref(message);
    if (r < 0) {
        rpc_request_free(request);
        return r;
    }
    *ret_request = request;
    return 0;
}

void rpc_request_free(struct rpc_request *request)
{
    if (!request)
        return;
    free(request->method);
    free(request->namespace);
    free(request->version);
    free(request->unique_id);
    free(request->msg_id);
    free(request->reply_q);
    json_decref(request->args);
    request_context_free(request->context);
    free(request);
}

int rpc_request_message(const char *method, const char *version,
                        const struct request_context *context, json_t *args, json_t **ret_message,
                        struct error *err)
{
    json_t *message = json_pack("{s:s, s:o, s:s, s:n}", "method", method, "args", args, "version",
                                version, "_timeout");
    if (!message)
        return error_nomem(err);
    int r = request_context_add_to_message(context, message, err);
    if (r < 0) {
        json_decref(message);
        return r;
    }
    *ret_message = message;
    return 0;
}

/* What not every request has. "_timeout" is there already: null, as every call has it. */
static int add_ids(const struct rpc_request *request, json_t *message, struct error *err)
{
    const struct {
        const char *key;
        const char *value;
    } members[] = {
        {"namespace", request->namespace},
        {"_unique_id", request->unique_id[0] != '\0' ? request->unique_id : NULL},
        {"_msg_id", request->msg_id},
        {"_reply_q", request->msg_id ? request->reply_q : NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        if (members[i].value &&
            json_object_set_new(message, members[i].key, json_string(members[i].value)) < 0)
            return error_nomem(err);
    if (!request->msg_id)
        (void)json_object_del(message, "_timeout");
    else if (request->call_monitor_timeout_s > 0 &&
             json_object_set_new(message, "_timeout",
                                 json_integer(request->call_monitor_timeout_s)) < 0)
        return error_nomem(err);
    return 0;
}

int rpc_request_message_again(const struct rpc_request *request, json_t **ret_message,
                              struct error *err)
{
    json_t *message = NULL;
    int r = rpc_request_message(request->method, request->version, request->context,
                                json_incref(request->args), &message, err);
    if (r < 0)
        return r;
    r = add_ids(request, message, err);
    if (r < 0) {
        json_decref(message);
        return r;
    }
    *ret_message = message;
    return 0;
}
