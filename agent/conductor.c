/* SPDX-License-Identifier: Apache-2.0 */
/* See conductor.h. Wire forms: nova/conductor/rpcapi.py, oslo_versionedobjects/base.py. */
#include "agent/conductor_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "amqp/rpc.h"
#include "common/json.h"
#include "common/log.h"

#define TOPIC "conductor"
#define VERSION_CONDUCTOR "3.0"
/* The oldest version every conductor understands; behaviour is the same for what is saved here. */
#define VERSION_INSTANCE "2.0"
#define VERSION_INSTANCE_LOADED "2.7"
#define VERSION_FAULT "1.2"
#define VERSION_MAPPING "1.21"
#define SAVE_ATTEMPTS 3
#define STATES_MS 5000
/* nova.compute.utils.exception_to_dict: the column holds 255 characters. */
#define FAULT_MESSAGE_MAX 255

/* Takes `args`, which may be NULL when building it failed. `timeout_ms` as in rpc_call(). */
static int call(struct bus *bus, const struct request_context *context, const char *method,
                json_t *args, unsigned timeout_ms, json_t **ret_result, struct error *err)
{
    if (!args)
        return error_nomem(err);
    const struct rpc_call wanted = {TOPIC, VERSION_CONDUCTOR, context, method, args, timeout_ms};
    return rpc_call(bus, &wanted, ret_result, err);
}

int conductor_class_action(struct bus *bus, const struct request_context *context,
                           const char *objname, const char *objmethod, json_t *versions,
                           json_t *args, json_t *kwargs, unsigned timeout_ms, json_t **ret_result,
                           struct error *err)
{
    return call(bus, context, "object_class_action_versions",
                json_pack("{s:s, s:s, s:o, s:o, s:o}", "objname", objname, "objmethod", objmethod,
                          "object_versions", versions, "args", args, "kwargs", kwargs),
                timeout_ms, ret_result, err);
}

/* Takes `versions`, `args` and `kwargs`. */
static int class_action(struct bus *bus, const struct request_context *context, const char *objname,
                        const char *objmethod, json_t *versions, json_t *args, json_t *kwargs,
                        json_t **ret_result, struct error *err)
{
    return conductor_class_action(bus, context, objname, objmethod, versions, args, kwargs, 0,
                                  ret_result, err);
}

/* Takes `data` and `changes`. */
static json_t *object_primitive(const char *name, const char *version, json_t *data,
                                json_t *changes)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "nova_object.name", name, "nova_object.namespace",
                     "nova", "nova_object.version", version, "nova_object.data", data,
                     "nova_object.changes", changes);
}

/* Takes `objinst` and `kwargs`. */
static int object_action(struct bus *bus, const struct request_context *context, json_t *objinst,
                         const char *objmethod, json_t *kwargs, json_t **ret_result,
                         struct error *err)
{
    return call(bus, context, "object_action",
                json_pack("{s:o, s:s, s:[], s:o}", "objinst", objinst, "objmethod", objmethod,
                          "args", "kwargs", kwargs),
                0, ret_result, err);
}

static json_t *save_primitive(const struct instance *instance, json_t *changes)
{
    json_t *data = json_copy(changes);
    json_t *names = json_array();
    const char *key;
    json_t *value;
    json_object_foreach (changes, key, value) {
        (void)json_array_append_new(names, json_string(key));
    }
    (void)json_object_set_new(data, "uuid", json_string(instance->uuid));
    return object_primitive("Instance", VERSION_INSTANCE, data, names);
}

static json_t *save_kwargs(json_t *expected_task_state)
{
    if (!expected_task_state)
        return json_object();
    return json_pack("{s:O}", "expected_task_state", expected_task_state);
}

/* A remoted method answers [updates, result]. Takes `result`. */
static int merge_answer(struct instance *instance, json_t *result, struct error *err)
{
    json_t *updates = json_array_get(result, 0);
    int r = json_is_object(updates)
                ? instance_merge(instance, updates, err)
                : error_set(err, EPROTO, EXC_INTERNAL_ERROR,
                            "conductor answered Instance.save with no update object");
    json_decref(result);
    return r;
}

/* What a repeated save may find: what it expected before, or its own first attempt. Owned. */
static json_t *expect_also(json_t *expected, json_t *changes)
{
    json_t *own = json_object_get(changes, "task_state");
    if (!expected || !own)
        return json_incref(expected);
    json_t *list = json_is_array(expected) ? json_copy(expected) : json_pack("[O]", expected);
    (void)json_array_append(list, own);
    return list;
}

int conductor_instance_save(struct bus *bus, const struct request_context *context,
                            struct instance *instance, json_t *changes, json_t *expected_task_state,
                            struct error *err)
{
    json_t *expected = json_incref(expected_task_state);
    for (int attempt = 1;; attempt++) {
        struct error failure = ERROR_INIT;
        json_t *result = NULL;
        int r = object_action(bus, context, save_primitive(instance, changes), "save",
                              save_kwargs(expected), &result, &failure);
        if (r == 0) {
            json_decref(expected);
            return merge_answer(instance, result, err);
        }
        if (attempt == SAVE_ATTEMPTS || !error_is(&failure, EXC_MESSAGING_TIMEOUT)) {
            json_decref(expected);
            *err = failure;
            return r;
        }
        log_debug("conductor did not answer Instance.save, attempt %d", attempt);
        json_t *wider = attempt == 1 ? expect_also(expected, changes) : json_incref(expected);
        json_decref(expected);
        expected = wider;
    }
}

int conductor_instance_load(struct bus *bus, const struct request_context *context,
                            struct instance *instance, const char *const *attributes,
                            struct error *err)
{
    json_t *names = json_array();
    for (; *attributes; attributes++)
        if (!json_object_get(instance->data, *attributes))
            (void)json_array_append_new(names, json_string(*attributes));
    if (json_array_size(names) == 0) {
        json_decref(names);
        return 0;
    }
    json_t *result = NULL;
    int r =
        class_action(bus, context, "Instance", "get_by_uuid",
                     json_pack("{s:s, s:s}", "Instance", VERSION_INSTANCE_LOADED, "Flavor", "1.2"),
                     json_pack("[s]", instance->uuid), json_pack("{s:o}", "expected_attrs", names),
                     &result, err);
    if (r < 0)
        return r;
    json_t *data;
    r = json_need_object(result, "nova_object.data", "Instance of the conductor", &data, err);
    if (r == 0)
        r = instance_merge(instance, data, err);
    json_decref(result);
    return r;
}

int conductor_instance_states(struct bus *bus, const struct request_context *context,
                              const char *instance_uuid, struct instance_states *ret_states,
                              struct error *err)
{
    json_t *result = NULL;
    json_t *data;
    int r = conductor_class_action(bus, context, "Instance", "get_by_uuid",
                                   json_pack("{s:s}", "Instance", VERSION_INSTANCE_LOADED),
                                   json_pack("[s]", instance_uuid),
                                   json_pack("{s:[]}", "expected_attrs"), STATES_MS, &result, err);
    if (r < 0)
        return r;
    r = json_need_object(result, "nova_object.data", "Instance of the conductor", &data, err);
    if (r == 0) {
        const char *vm_state = json_string_member(data, "vm_state");
        const char *task_state = json_string_member(data, "task_state");
        const char *host = json_string_member(data, "host");
        (void)snprintf(ret_states->vm_state, sizeof(ret_states->vm_state), "%s",
                       vm_state ? vm_state : "");
        (void)snprintf(ret_states->task_state, sizeof(ret_states->task_state), "%s",
                       task_state ? task_state : "");
        (void)snprintf(ret_states->host, sizeof(ret_states->host), "%s", host ? host : "");
    }
    json_decref(result);
    return r;
}

int conductor_event_start(struct bus *bus, const struct request_context *context,
                          const char *instance_uuid, const char *event, const char *host,
                          struct error *err)
{
    json_t *result = NULL;
    int r = class_action(bus, context, "InstanceActionEvent", "event_start",
                         json_pack("{s:s}", "InstanceActionEvent", "1.4"),
                         json_pack("[s, s]", instance_uuid, event),
                         json_pack("{s:b, s:s}", "want_result", 0, "host", host), &result, err);
    if (r == 0)
        json_decref(result);
    return r;
}

int conductor_event_finish(struct bus *bus, const struct request_context *context,
                           const char *instance_uuid, const char *event,
                           const struct error *failure, struct error *err)
{
    /* Conductor takes the event for a success as long as there is no exc_tb. */
    char trace[ERROR_EXC_MAX + ERROR_MESSAGE_MAX + 4];
    if (failure)
        (void)snprintf(trace, sizeof(trace), "%s: %s\n", failure->exc, failure->message);
    json_t *result = NULL;
    int r = class_action(
        bus, context, "InstanceActionEvent", "event_finish_with_failure",
        json_pack("{s:s}", "InstanceActionEvent", "1.4"), json_pack("[s, s]", instance_uuid, event),
        json_pack("{s:s?, s:s?, s:b}", "exc_val", failure ? error_public_text(failure) : NULL,
                  "exc_tb", failure ? trace : NULL, "want_result", 0),
        &result, err);
    if (r == 0)
        json_decref(result);
    return r;
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
    json_t *result = NULL;
    int r =
        object_action(bus, context, object_primitive("InstanceFault", VERSION_FAULT, data, changes),
                      "create", json_object(), &result, err);
    if (r == 0)
        json_decref(result);
    return r;
}

static int check_list(const json_t *list, const char *wanted, struct error *err)
{
    const char *name = json_string_member(list, "nova_object.name");
    const char *version = json_string_member(list, "nova_object.version");
    if (name && version && strcmp(name, wanted) == 0 && strncmp(version, "1.", 2) == 0)
        return 0;
    return error_set(err, EPROTONOSUPPORT, EXC_INTERNAL_ERROR,
                     "conductor answered with %.64s version '%.16s', only %s 1.x is understood",
                     name ? name : "no nova object", version ? version : "(none)", wanted);
}

int conductor_list_data(const json_t *list, const char *name, json_t **ret_data, struct error *err)
{
    size_t i;
    json_t *object;
    int r = check_list(list, name, err);
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

int conductor_block_device_mappings(struct bus *bus, const struct request_context *context,
                                    const char *instance_uuid, json_t **ret_mappings,
                                    struct error *err)
{
    json_t *result = NULL;
    int r = class_action(bus, context, "BlockDeviceMappingList", "get_by_instance_uuid",
                         json_pack("{s:s, s:s}", "BlockDeviceMappingList", "1.18",
                                   "BlockDeviceMapping", VERSION_MAPPING),
                         json_pack("[s]", instance_uuid), json_object(), &result, err);
    if (r < 0)
        return r;
    r = conductor_list_data(result, "BlockDeviceMappingList", ret_mappings, err);
    json_decref(result);
    return r;
}

int conductor_volume_mapping(struct bus *bus, const struct request_context *context,
                             const char *instance_uuid, const char *volume_id, json_t **ret_mapping,
                             struct error *err)
{
    json_t *result = NULL;
    json_t *data;
    int r =
        class_action(bus, context, "BlockDeviceMapping", "get_by_volume_and_instance",
                     json_pack("{s:s}", "BlockDeviceMapping", VERSION_MAPPING),
                     json_pack("[s, s]", volume_id, instance_uuid), json_object(), &result, err);
    if (r < 0)
        return r;
    r = json_need_object(result, "nova_object.data", "BlockDeviceMapping of the conductor", &data,
                         err);
    if (r == 0)
        *ret_mapping = json_incref(data);
    json_decref(result);
    return r;
}

int conductor_mapping_save_connection_info(struct bus *bus, const struct request_context *context,
                                           json_t *mapping, const json_t *connection_info,
                                           struct error *err)
{
    json_t *data = json_copy(mapping);
    char *text = json_dumps(connection_info, 0);
    json_t *result = NULL;
    if (!data || !text || json_object_set_new(data, "connection_info", json_string(text)) < 0) {
        json_decref(data);
        free(text);
        return error_nomem(err);
    }
    free(text);
    int r = object_action(bus, context,
                          object_primitive("BlockDeviceMapping", VERSION_MAPPING, data,
                                           json_pack("[s]", "connection_info")),
                          "save", json_object(), &result, err);
    if (r == 0)
        json_decref(result);
    return r;
}
