/* SPDX-License-Identifier: Apache-2.0 */
/* See oslo_message.h. */
#include "amqp/oslo_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/rpc_version.h"
#include "common/cleanup.h"
#include "common/id.h"
#include "common/json.h"
#include "common/secret.h"

#define ENVELOPE_VERSION "2.0"
#define DUMP_FLAGS (JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY)

static int dump_json(const json_t *value, char **ret_text, struct error *err)
{
    char *text = json_dumps(value, DUMP_FLAGS);
    if (!text)
        return error_nomem(err);
    *ret_text = text;
    return 0;
}

static int envelope_wrap(const char *inner, char **ret_text, struct error *err)
{
    json_t *envelope =
        json_pack("{s:s, s:s}", "oslo.version", ENVELOPE_VERSION, "oslo.message", inner);
    if (!envelope)
        return error_nomem(err);
    int r = dump_json(envelope, ret_text, err);
    json_decref(envelope);
    return r;
}

int oslo_message_pack(const json_t *message, bool enveloped, char **ret_body, size_t *ret_length,
                      struct error *err)
{
    char *body = NULL;
    int r = dump_json(message, &body, err);
    if (r < 0)
        return r;
    if (enveloped) {
        cleanup_free char *inner = TAKE_PTR(body);
        r = envelope_wrap(inner, &body, err);
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
static int envelope_unwrap(json_t *outer, json_t **ret_message, struct error *err)
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
    r = envelope_unwrap(outer, &message, err);
    if (r < 0)
        return r;
    if (!json_is_object(message)) {
        json_decref(message);
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "the message is no object");
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
    int r = dump_json(object, ret_text, err);
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
