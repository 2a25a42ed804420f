/* SPDX-License-Identifier: Apache-2.0 */
/* See oslo_message.h. */
#include "amqp/oslo_message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/id.h"
#include "common/json.h"
#include "common/secret.h"

#define ENVELOPE_VERSION "2.0"
#define DUMP_FLAGS (JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY)

/* The sizes of a parsed version; components oslo compares as integers. */
static bool parse_version(const char *text, long parts[3])
{
    parts[0] = parts[1] = parts[2] = 0;
    for (int i = 0; i < 3; i++) {
        char *end;
        if (*text < '0' || *text > '9')
            return false;
        errno = 0;
        parts[i] = strtol(text, &end, 10);
        if (errno != 0)
            return false;
        if (*end == '\0')
            return i > 0;
        if (*end != '.')
            return false;
        text = end + 1;
    }
    return false;
}

bool rpc_version_is_compatible(const char *implemented, const char *requested)
{
    long have[3];
    long want[3];
    if (!parse_version(implemented, have) || !parse_version(requested, want))
        return false;
    if (want[0] != have[0] || want[1] > have[1])
        return false;
    return want[1] != have[1] || want[2] <= have[2];
}

static int dump(const json_t *value, char **ret_text, struct error *err)
{
    char *text = json_dumps(value, DUMP_FLAGS);
    if (!text)
        return error_nomem(err);
    *ret_text = text;
    return 0;
}

static int wrap(const char *inner, char **ret_text, struct error *err)
{
    json_t *envelope =
        json_pack("{s:s, s:s}", "oslo.version", ENVELOPE_VERSION, "oslo.message", inner);
    if (!envelope)
        return error_nomem(err);
    int r = dump(envelope, ret_text, err);
    json_decref(envelope);
    return r;
}

int oslo_message_pack(const json_t *message, bool enveloped, char **ret_body, size_t *ret_length,
                      struct error *err)
{
    char *body = NULL;
    int r = dump(message, &body, err);
    if (r < 0)
        return r;
    if (enveloped) {
        cleanup_free char *inner = TAKE_PTR(body);
        r = wrap(inner, &body, err);
        if (r < 0)
            return r;
    }
    size_t length = strlen(body);
    if (length > OSLO_BODY_MAX_BYTES) {
        free(body);
        return error_set(err, EMSGSIZE, EXC_INTERNAL_ERROR,
                         "a message of %zu bytes is larger than %u", length, OSLO_BODY_MAX_BYTES);
    }
    *ret_body = body;
    *ret_length = length;
    return 0;
}

/* Takes `outer`; gives the message in it, or `outer` itself when it is no envelope. */
static int unwrap(json_t *outer, json_t **ret_message, struct error *err)
{
    const json_t *version = json_object_get(outer, "oslo.version");
    const json_t *inner = json_object_get(outer, "oslo.message");
    if (!version || !inner) {
        *ret_message = outer;
        return 0;
    }
    int r;
    if (!json_is_string(version) ||
        !rpc_version_is_compatible(ENVELOPE_VERSION, json_string_value(version)))
        r = error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                      "the envelope's version is not supported, only " ENVELOPE_VERSION);
    else if (!json_is_string(inner))
        r = error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "the envelope's message is no string");
    else
        r = json_parse(json_string_value(inner), json_string_length(inner), OSLO_BODY_MAX_BYTES,
                       "the message", ret_message, err);
    json_decref(outer);
    return r;
}

int oslo_message_unpack(const char *body, size_t length, json_t **ret_message, struct error *err)
{
    json_t *outer = NULL;
    json_t *message = NULL;
    int r = json_parse(body, length, OSLO_BODY_MAX_BYTES, "the body", &outer, err);
    if (r < 0)
        return r;
    r = unwrap(outer, &message, err);
    if (r < 0)
        return r;
    if (!json_is_object(message)) {
        json_decref(message);
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "the message is no object");
    }
    *ret_message = message;
    return 0;
}

static int bad_member(const char *key, const char *what, struct error *err)
{
    return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "the request's '%s' is %s", key, what);
}

/* Copies a string member that may be absent or null; *ret_copy stays as it is then. */
static int copy_member(const json_t *message, const char *key, char **ret_copy, struct error *err)
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
        int r = copy_member(message, members[i].key, members[i].copy, err);
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

/* NovaException takes (message, **kwargs); other classes would choke on the keyword. */
static int failure_text(const struct error *failure, char **ret_text, struct error *err)
{
    json_t *message = json_string(failure->message);
    json_t *kwargs = strcmp(failure->module, "nova.exception") == 0
                         ? json_pack("{s:i}", "code", failure->code)
                         : json_object();
    json_t *object =
        json_pack("{s:s, s:s, s:o, s:[], s:[O], s:o}", "class", failure->exc, "module",
                  failure->module, "message", message, "tb", "args", message, "kwargs", kwargs);
    if (!object)
        return error_nomem(err);
    int r = dump(object, ret_text, err);
    json_decref(object);
    return r;
}

int rpc_reply_message(const char *msg_id, json_t *result, const struct error *failure, bool ending,
                      json_t **ret_message, struct error *err)
{
    cleanup_free char *text = NULL;
    int r = failure ? failure_text(failure, &text, err) : 0;
    if (r < 0) {
        json_decref(result);
        return r;
    }
    char unique_id[ID_HEX_SIZE];
    id_new_hex(unique_id);
    json_t *message =
        json_pack("{s:o, s:s?, s:b, s:s, s:s}", "result", result ? result : json_null(), "failure",
                  text, "ending", ending, "_msg_id", msg_id, "_unique_id", unique_id);
    if (!message)
        return error_nomem(err);
    *ret_message = message;
    return 0;
}

int rpc_failure_unpack(const char *text, struct error *ret_failure, struct error *err)
{
    json_t *object = NULL;
    int r = json_parse(text, strlen(text), OSLO_BODY_MAX_BYTES, "the failure", &object, err);
    if (r < 0)
        return r;
    const char *class = json_string_member(object, "class");
    const char *module = json_string_member(object, "module");
    const char *message = json_string_member(object, "message");
    if (!class) {
        json_decref(object);
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "the failure has no 'class'");
    }
    cleanup_free char *text_of_others = strdup(message ? message : "");
    if (!text_of_others) {
        json_decref(object);
        return error_nomem(err);
    }
    secret_strip(text_of_others);
    (void)error_set_foreign(ret_failure, EREMOTEIO, module ? module : "", class, "%s",
                            text_of_others);
    const json_t *code = json_object_get(json_object_get(object, "kwargs"), "code");
    if (json_is_integer(code) && json_integer_value(code) > 0 && json_integer_value(code) < 1000)
        ret_failure->code = (int)json_integer_value(code);
    json_decref(object);
    return 0;
}
