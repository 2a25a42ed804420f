/* SPDX-License-Identifier: Apache-2.0 */
/* The instance as nova-conductor keeps it. See conductor.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/conductor_int.h"
#include "agent/instance.h"
#include "common/json.h"
#include "common/log.h"

#define VERSION_LOADED "2.7"
#define VERSION_LIST "2.6"
#define VERSION_FLAVOR "1.2"
#define SAVE_ATTEMPTS 3
#define STATES_MS 5000
#define LIST_MS 20000

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
    return conductor_object_primitive("Instance", CONDUCTOR_INSTANCE_VERSION, data, names);
}

json_t *conductor_instance_progress(int progress)
{
    return progress < 0 ? json_null() : json_integer(progress);
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

int conductor_instance_save(struct bus *bus, const struct request_context *context,
                            struct instance *instance, json_t *changes, json_t *expected_task_state,
                            struct error *err)
{
    for (int attempt = 1;; attempt++) {
        struct error failure = ERROR_INIT;
        json_t *result = NULL;
        const struct conductor_action save = {.objmethod = "save",
                                              .kwargs = save_kwargs(expected_task_state)};
        int r = conductor_object_action(bus, context, save_primitive(instance, changes), &save,
                                        &result, &failure);
        if (r == 0)
            return merge_answer(instance, result, err);
        if (attempt == SAVE_ATTEMPTS || !error_is(&failure, EXC_MESSAGING_TIMEOUT)) {
            *err = failure;
            return r;
        }
        log_debug("conductor did not answer Instance.save, attempt %d", attempt);
    }
}

int conductor_instance_save_progress(struct bus *bus, const struct request_context *context,
                                     const struct instance *instance, int progress,
                                     const char *task_state, struct error *err)
{
    json_t *changes = json_pack("{s:o}", "progress", conductor_instance_progress(progress));
    json_t *expected = task_state ? json_pack("[s]", task_state) : NULL;
    if (!changes || (task_state && !expected)) { /* never in any state for want of memory */
        json_decref(changes);
        json_decref(expected);
        return error_nomem(err);
    }
    const struct conductor_action save = {
        .objmethod = "save", .kwargs = save_kwargs(expected), .timeout_ms = STATES_MS};
    json_t *primitive = save_primitive(instance, changes);
    json_decref(changes);
    json_decref(expected);
    return conductor_object_action(bus, context, primitive, &save, NULL, err);
}

/* Those of `attributes` that the instance has not. Owned. */
static json_t *missing_attributes(const struct instance *instance, const char *const *attributes)
{
    json_t *names = json_array();
    for (; *attributes; attributes++)
        if (!json_object_get(instance->data, *attributes))
            (void)json_array_append_new(names, json_string(*attributes));
    return names;
}

int conductor_instance_load(struct bus *bus, const struct request_context *context,
                            struct instance *instance, const char *const *attributes,
                            unsigned timeout_ms, struct error *err)
{
    json_t *result = NULL;
    json_t *data;
    json_t *names = missing_attributes(instance, attributes);
    if (json_array_size(names) == 0) {
        json_decref(names);
        return 0;
    }
    const struct conductor_action action = {
        .objname = "Instance",
        .objmethod = "get_by_uuid",
        .versions = json_pack("{s:s, s:s}", "Instance", VERSION_LOADED, "Flavor", VERSION_FLAVOR),
        .args = json_pack("[s]", instance->uuid),
        .kwargs = json_pack("{s:o}", "expected_attrs", names),
        .timeout_ms = timeout_ms,
    };
    int r = conductor_class_action(bus, context, &action, &result, err);
    if (r < 0)
        return r;
    r = json_need_object(result, "nova_object.data", "Instance of the conductor", &data, err);
    if (r == 0)
        r = instance_merge(instance, data, err);
    json_decref(result);
    return r;
}

/* "" when it is None. */
static void copy_state(char *to, size_t size, const json_t *data, const char *field)
{
    const char *text = json_string_member(data, field);
    (void)snprintf(to, size, "%s", text ? text : "");
}

int conductor_instance_states(struct bus *bus, const struct request_context *context,
                              const char *instance_uuid, struct instance_states *ret_states,
                              struct error *err)
{
    json_t *result = NULL;
    json_t *data;
    const struct conductor_action action = {
        .objname = "Instance",
        .objmethod = "get_by_uuid",
        .versions = json_pack("{s:s}", "Instance", VERSION_LOADED),
        .args = json_pack("[s]", instance_uuid),
        .kwargs = json_pack("{s:[]}", "expected_attrs"),
        .timeout_ms = STATES_MS,
    };
    int r = conductor_class_action(bus, context, &action, &result, err);
    if (r < 0)
        return r;
    r = json_need_object(result, "nova_object.data", "Instance of the conductor", &data, err);
    if (r == 0) {
        copy_state(ret_states->vm_state, sizeof(ret_states->vm_state), data, "vm_state");
        copy_state(ret_states->task_state, sizeof(ret_states->task_state), data, "task_state");
        copy_state(ret_states->host, sizeof(ret_states->host), data, "host");
    }
    json_decref(result);
    return r;
}

int conductor_instance_list(struct bus *bus, const struct request_context *context,
                            const char *host, json_t **ret_instances, struct error *err)
{
    json_t *result = NULL;
    const struct conductor_action action = {
        .objname = "InstanceList",
        .objmethod = "get_by_host",
        .versions =
            json_pack("{s:s, s:s}", "InstanceList", VERSION_LIST, "Instance", VERSION_LOADED),
        .args = json_pack("[s]", host),
        .kwargs = json_pack("{s:[]}", "expected_attrs"),
        .timeout_ms = LIST_MS,
    };
    int r = conductor_class_action(bus, context, &action, &result, err);
    if (r < 0)
        return r;
    r = conductor_list_data(result, "InstanceList", 2, ret_instances, err);
    json_decref(result);
    return r;
}
