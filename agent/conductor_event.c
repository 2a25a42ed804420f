/* SPDX-License-Identifier: Apache-2.0 */
/* A request as nova records it: its action and what has begun and ended of it. See conductor.h. */
#include <stdio.h>
#include <string.h>

#include "agent/conductor_int.h"
#include "common/json.h"

#define VERSION_ACTION "1.2"
#define VERSION_ACTION_LIST "1.1"
#define VERSION_EVENT "1.4"
#define VERSION_EVENT_LIST "1.1"

#define LOOK_MS 5000
#define ACTIONS_MAX 100 /* what nova-api lets through while a snapshot waits */

int conductor_event_start(struct bus *bus, const struct request_context *context,
                          const char *instance_uuid, const char *event, const char *host,
                          struct error *err)
{
    const struct conductor_action action = {
        .objname = "InstanceActionEvent",
        .objmethod = "event_start",
        .versions = json_pack("{s:s}", "InstanceActionEvent", VERSION_EVENT),
        .args = json_pack("[s, s]", instance_uuid, event),
        .kwargs = json_pack("{s:b, s:s}", "want_result", 0, "host", host),
    };
    return conductor_class_action(bus, context, &action, NULL, err);
}

int conductor_event_finish(struct bus *bus, const struct request_context *context,
                           const char *instance_uuid, const char *event,
                           const struct error *failure, struct error *err)
{
    /* Conductor takes the event for a success as long as there is no exc_tb. */
    char trace[ERROR_EXC_MAX + ERROR_MESSAGE_MAX + 4];
    if (failure)
        (void)snprintf(trace, sizeof(trace), "%s: %s\n", failure->exc, failure->message);
    const struct conductor_action action = {
        .objname = "InstanceActionEvent",
        .objmethod = "event_finish_with_failure",
        .versions = json_pack("{s:s}", "InstanceActionEvent", VERSION_EVENT),
        .args = json_pack("[s, s]", instance_uuid, event),
        .kwargs =
            json_pack("{s:s?, s:s?, s:b}", "exc_val", failure ? error_public_text(failure) : NULL,
                      "exc_tb", failure ? trace : NULL, "want_result", 0),
    };
    return conductor_class_action(bus, context, &action, NULL, err);
}

/* What was asked for on the instance, the newest first: an array of nova_object.data. Owned. */
static int list_actions(struct bus *bus, const struct request_context *context,
                        const char *instance_uuid, json_t **ret_actions, struct error *err)
{
    json_t *result = NULL;
    const struct conductor_action action = {
        .objname = "InstanceActionList",
        .objmethod = "get_by_instance_uuid",
        .versions = json_pack("{s:s, s:s}", "InstanceActionList", VERSION_ACTION_LIST,
                              "InstanceAction", VERSION_ACTION),
        .args = json_pack("[s]", instance_uuid),
        .kwargs = json_pack("{s:i}", "limit", ACTIONS_MAX),
        .timeout_ms = LOOK_MS,
    };
    int r = conductor_class_action(bus, context, &action, &result, err);
    if (r < 0)
        return r;
    r = conductor_list_data(result, "InstanceActionList", 1, ret_actions, err);
    json_decref(result);
    return r;
}

/*
 * The last that sets the task states of a snapshot: a lock or a larger volume in between does not.
 * By its id, which the database gives; their order is that of the clocks of several nova-apis.
 * NULL: none. Borrowed.
 */
static const json_t *last_snapshot(const json_t *actions)
{
    const json_t *last = NULL;
    size_t i;
    json_t *action;
    json_array_foreach (actions, i, action) {
        const char *name = json_string_member(action, "action");
        if (name && (strcmp(name, "createImage") == 0 || strcmp(name, "createBackup") == 0) &&
            (!last || json_integer_value(json_object_get(action, "id")) >
                          json_integer_value(json_object_get(last, "id"))))
            last = action;
    }
    return last;
}

/* An array of nova_object.data. Owned. */
static int events_of_action(struct bus *bus, const struct request_context *context,
                            json_t *action_id, json_t **ret_events, struct error *err)
{
    json_t *result = NULL;
    const struct conductor_action action = {
        .objname = "InstanceActionEventList",
        .objmethod = "get_by_action",
        .versions = json_pack("{s:s, s:s}", "InstanceActionEventList", VERSION_EVENT_LIST,
                              "InstanceActionEvent", VERSION_EVENT),
        .args = json_pack("[O]", action_id),
        .kwargs = json_object(),
        .timeout_ms = LOOK_MS,
    };
    int r = conductor_class_action(bus, context, &action, &result, err);
    if (r < 0)
        return r;
    r = conductor_list_data(result, "InstanceActionEventList", 1, ret_events, err);
    json_decref(result);
    return r;
}

static unsigned count_events(const json_t *events, const char *name)
{
    unsigned n = 0;
    size_t i;
    json_t *event;
    json_array_foreach (events, i, event) {
        const char *its_name = json_string_member(event, "event");
        n += its_name && strcmp(its_name, name) == 0;
    }
    return n;
}

int conductor_event_is_only(struct bus *bus, const struct request_context *context,
                            const char *instance_uuid, const char *event, bool *ret_only,
                            struct error *err)
{
    json_t *actions = NULL, *events = NULL;
    int r = list_actions(bus, context, instance_uuid, &actions, err);
    if (r < 0)
        return r;
    const json_t *last = last_snapshot(actions);
    const char *request_id = json_string_member(last, "request_id");
    bool is_last = request_id && strcmp(request_id, context->request_id) == 0;
    if (is_last)
        r = events_of_action(bus, context, json_object_get(last, "id"), &events, err);
    if (r == 0)
        *ret_only = is_last && count_events(events, event) == 1;
    json_decref(events);
    json_decref(actions);
    return r;
}
