/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How nova-conductor is called, and what is told to it of a request. See conductor.h. Wire forms:
 * nova/conductor/rpcapi.py, oslo_versionedobjects/base.py.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/conductor_int.h"
#include "amqp/rpc.h"
#include "common/json.h"
#include "common/log.h"

#define TOPIC "conductor"
#define VERSION_CONDUCTOR "3.0"
#define VERSION_FAULT "1.2"
#define VERSION_SERVICE "1.22"
/* nova.compute.utils.exception_to_dict: the column holds 255 characters. */
#define FAULT_MESSAGE_MAX 255

struct conductor_call {
    const char *method;
    json_t *args;        /* taken; NULL when building it failed */
    unsigned timeout_ms; /* as in rpc_call() */
};

static int call_conductor(struct bus *bus, const struct request_context *context,
                          const struct conductor_call *call, json_t **ret_result, struct error *err)
{
    json_t *result = NULL;
    if (!call->args)
        return error_nomem(err);
    const struct rpc_call wanted = {TOPIC,        VERSION_CONDUCTOR, context,
                                    call->method, call->args,        call->timeout_ms};
    int r = rpc_call(bus, &wanted, &result, err);
    if (r < 0)
        return r;
    if (ret_result)
        *ret_result = result;
    else
        json_decref(result);
    return 0;
}

int conductor_class_action(struct bus *bus, const struct request_context *context,
                           const struct conductor_action *action, json_t **ret_result,
                           struct error *err)
{
    const struct conductor_call call = {
        .method = "object_class_action_versions",
        .args = json_pack("{s:s, s:s, s:o, s:o, s:o}", "objname", action->objname, "objmethod",
                          action->objmethod, "object_versions", action->versions, "args",
                          action->args, "kwargs", action->kwargs),
        .timeout_ms = action->timeout_ms,
    };
    log_debug("asking conductor: %s.%s", action->objname, action->objmethod);
    return call_conductor(bus, context, &call, ret_result, err);
}

int conductor_object_action(struct bus *bus, const struct request_context *context, json_t *objinst,
                            const struct conductor_action *action, json_t **ret_result,
                            struct error *err)
{
    const struct conductor_call call = {
        .method = "object_action",
        .args = json_pack("{s:o, s:s, s:[], s:o}", "objinst", objinst, "objmethod",
                          action->objmethod, "args", "kwargs", action->kwargs),
        .timeout_ms = action->timeout_ms,
    };
    log_debug("asking conductor: %s of an object", action->objmethod);
    return call_conductor(bus, context, &call, ret_result, err);
}

json_t *conductor_object_primitive(const char *name, const char *version, json_t *data,
                                   json_t *changes)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "nova_object.name", name, "nova_object.namespace",
                     "nova", "nova_object.version", version, "nova_object.data", data,
                     "nova_object.changes", changes);
}

static int check_list_type(const json_t *list, const char *wanted, unsigned major,
                           struct error *err)
{
    char prefix[16];
    const char *name = json_string_member(list, "nova_object.name");
    const char *version = json_string_member(list, "nova_object.version");
    int length = snprintf(prefix, sizeof(prefix), "%u.", major);
    if (name && version && strcmp(name, wanted) == 0 &&
        strncmp(version, prefix, (size_t)length) == 0)
        return 0;
    return error_set(err, EPROTONOSUPPORT, EXC_INTERNAL_ERROR,
                     "conductor answered with %.64s version '%.16s', only %s %u.x is understood",
                     name ? name : "no nova object", version ? version : "(none)", wanted, major);
}

int conductor_list_data(const json_t *list, const char *name, unsigned major, json_t **ret_data,
                        struct error *err)
{
    size_t i;
    json_t *object;
    int r = check_list_type(list, name, major, err);
    if (r < 0)
        return r;
    json_t *data = json_array();
    if (!data)
        return error_nomem(err);
    json_array_foreach (json_object_get(json_object_get(list, "nova_object.data"), "objects"), i,
                        object) {
        (void)json_array_append(data, json_object_get(object, "nova_object.data"));
    }
    *ret_data = data;
    return 0;
}

int conductor_fault_create(struct bus *bus, const struct request_context *context,
                           const char *instance_uuid, const char *host, const struct error *failure,
                           struct error *err)
{
    char details[ERROR_EXC_MAX + ERROR_MESSAGE_MAX + 4] = "";
    const char *message = error_public_text(failure);
    if (failure->code == 500 || !error_is_novas(failure))
        (void)snprintf(details, sizeof(details), "%s: %s\n", failure->exc, failure->message);
    size_t length = strnlen(message, FAULT_MESSAGE_MAX);
    while (length > 0 && ((unsigned char)message[length] & 0xc0) == 0x80)
        length--; /* not in the middle of a UTF-8 character */
    json_t *data =
        json_pack("{s:s, s:i, s:s%, s:s, s:s}", "instance_uuid", instance_uuid, "code",
                  failure->code, "message", message, length, "details", details, "host", host);
    json_t *changes =
        json_pack("[s, s, s, s, s]", "instance_uuid", "code", "message", "details", "host");
    const struct conductor_action action = {.objmethod = "create", .kwargs = json_object()};
    return conductor_object_action(
        bus, context, conductor_object_primitive("InstanceFault", VERSION_FAULT, data, changes),
        &action, NULL, err);
}

int conductor_service_version(struct bus *bus, const struct request_context *context,
                              const char *host, unsigned timeout_ms, unsigned *ret_version,
                              struct error *err)
{
    const struct conductor_action action = {
        .objname = "Service",
        .objmethod = "get_by_host_and_binary",
        .versions = json_pack("{s:s}", "Service", VERSION_SERVICE),
        .args = json_pack("[s, s]", host, "nova-compute"),
        .kwargs = json_object(),
        .timeout_ms = timeout_ms,
    };
    json_t *result = NULL;
    int r = conductor_class_action(bus, context, &action, &result, err);
    if (r < 0)
        return r;
    const json_t *version = json_object_get(json_object_get(result, "nova_object.data"), "version");
    json_int_t number = json_integer_value(version);
    if (json_is_null(result))
        *ret_version = 0;
    else if (json_is_integer(version) && number > 0 && number <= INT_MAX)
        *ret_version = (unsigned)number;
    else
        r = error_set(err, EPROTO, EXC_INTERNAL_ERROR,
                      "conductor answered with a Service that has no version");
    json_decref(result);
    return r;
}
