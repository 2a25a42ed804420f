/* SPDX-License-Identifier: Apache-2.0 */
/* See report.h. */
#include "agent/report.h"

#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/instance.h"
#include "agent/notification.h"
#include "agent/preflight.h"
#include "agent/release.h"
#include "amqp/notifier.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "conf/conf.h"
#include "glance_client/glance.h"

#define EVENT_MAX 64

static const char *event_name(const struct instance_request *op, char name[static EVENT_MAX])
{
    (void)snprintf(name, EVENT_MAX, "compute_%s", op->request->method);
    return name;
}

int report_event_start(const struct instance_request *op, struct error *err)
{
    char name[EVENT_MAX];
    return conductor_event_start(op->agent->bus, op->request->context, op->instance.uuid,
                                 event_name(op, name), op->agent->conf->DEFAULT.host, err);
}

int report_event_finish(const struct instance_request *op, const struct error *failure,
                        struct error *err)
{
    char name[EVENT_MAX];
    log_debug("the action event finishes: %s", failure ? failure->exc : "Success");
    return conductor_event_finish(op->agent->bus, op->request->context, op->instance.uuid,
                                  event_name(op, name), failure, err);
}

int report_is_begun_once(const struct instance_request *op, bool *ret_once, struct error *err)
{
    char name[EVENT_MAX];
    return conductor_event_is_only(op->agent->bus, op->admin, op->instance.uuid,
                                   event_name(op, name), ret_once, err);
}

static json_t *task_state_list(const char *const *states, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, states[i] ? json_string(states[i]) : json_null());
    return list;
}

int report_task_state(struct instance_request *op, const char *task_state,
                      const char *const *expected, size_t n_expected, struct error *err)
{
    json_t *changes = json_pack("{s:s?}", "task_state", task_state);
    if (changes && !task_state && op->restores_progress)
        (void)json_object_set_new(changes, "progress",
                                  conductor_instance_progress(op->instance.progress));
    json_t *states = task_state_list(expected, n_expected);
    int r = changes && states ? conductor_instance_save(op->agent->bus, op->admin, &op->instance,
                                                        changes, states, err)
                              : error_nomem(err);
    if (r == 0)
        r = instance_merge(&op->instance, changes, err);
    json_decref(changes);
    json_decref(states);
    return r;
}

void report_progress_back(const struct instance_request *op)
{
    struct error err = ERROR_INIT;
    if (op->restores_progress &&
        conductor_instance_save_progress(op->agent->bus, op->admin, &op->instance,
                                         op->instance.progress, NULL, &err) < 0)
        log_debug("the progress of the server is not put back: %s", err.message);
}

int report_read_states(const struct instance_request *op, struct instance_states *ret_states,
                       struct error *err)
{
    return conductor_instance_states(op->agent->bus, op->admin, op->instance.uuid, ret_states, err);
}

int report_power_state(struct instance_request *op, enum power_state power_state, struct error *err)
{
    json_t *changes = json_pack("{s:i}", "power_state", (int)power_state);
    if (!changes)
        return error_nomem(err);
    int r = conductor_instance_save(op->agent->bus, op->admin, &op->instance, changes, NULL, err);
    if (r == 0)
        r = instance_merge(&op->instance, changes, err);
    json_decref(changes);
    return r;
}

int report_fault(const struct instance_request *op, const struct error *failure, struct error *err)
{
    return conductor_fault_create(op->agent->bus, op->request->context, op->instance.uuid,
                                  op->agent->conf->DEFAULT.host, failure, err);
}

static bool format_is(const struct instance_request *op, const char *format)
{
    const char *configured = op->agent->conf->notifications.notification_format;
    return strcmp(configured, "both") == 0 || strcmp(configured, format) == 0;
}

/* Takes `payload`. */
static int notify_legacy(const struct instance_request *op, const struct request_context *context,
                         const char *event_type, const char *priority, json_t *payload,
                         struct error *err)
{
    char publisher[300];
    (void)snprintf(publisher, sizeof(publisher), "compute.%s", op->agent->conf->DEFAULT.host);
    log_debug("notification %s, unversioned", event_type);
    if (!payload)
        return error_nomem(err);
    const struct notification wanted = {NOTIFICATION_LEGACY, context,  publisher,
                                        event_type,          priority, payload};
    return notifier_notify(op->agent->bus, &wanted, err);
}

/* Takes `payload`. */
static int notify_versioned(const struct instance_request *op,
                            const struct request_context *context, const char *event_type,
                            const char *priority, json_t *payload, struct error *err)
{
    char publisher[300];
    (void)snprintf(publisher, sizeof(publisher), "nova-compute:%s", op->agent->conf->DEFAULT.host);
    log_debug("notification %s, versioned", event_type);
    if (!payload)
        return error_nomem(err);
    const struct notification wanted = {
        NOTIFICATION_VERSIONED, context, publisher, event_type, priority, payload};
    return notifier_notify(op->agent->bus, &wanted, err);
}

static bool notifications_are_on(const struct instance_request *op)
{
    return op->agent->conf->oslo_messaging_notifications.driver[0] != NULL;
}

/* nova.image.glance:generate_image_url */
static int image_ref_url(const struct instance_request *op, char **ret_url, struct error *err)
{
    const char *image_ref = instance_string(&op->instance, "image_ref");
    cleanup_free char *endpoint = NULL;
    int r = glance_endpoint(op->agent->glance, op->admin, &endpoint, err);
    if (r < 0)
        return r;
    return asprintf(ret_url, "%s/images/%s", endpoint, image_ref ? image_ref : "") < 0
               ? error_nomem(err)
               : 0;
}

static int phase_legacy(const struct instance_request *op, const char *phase, struct error *err)
{
    char event_type[64];
    (void)snprintf(event_type, sizeof(event_type), "compute.instance.snapshot.%s", phase);
    cleanup_free char *url = NULL;
    int r = image_ref_url(op, &url, err);
    if (r < 0)
        return r;
    return notify_legacy(op, op->admin, event_type, "INFO",
                         notification_legacy_usage(&op->instance, url), err);
}

static int load_lists(const struct instance_request *op, struct snapshot_payload *snapshot,
                      struct error *err)
{
    const struct agent *agent = op->agent;
    const struct instance *instance = &op->instance;
    int r = 0;
    snapshot->tells_shares = release_has(agent->release, instance, RELEASE_TELLS_SHARES);
    if (agent->conf->notifications.bdms_in_notifications)
        r = conductor_mapping_list(agent->bus, op->admin, instance->uuid, &snapshot->block_devices,
                                   err);
    if (r == 0 && snapshot->tells_shares && agent->conf->notifications.include_share_mapping)
        r = conductor_mapping_list_shares(agent->bus, op->admin, instance->uuid, &snapshot->shares,
                                          err);
    return r;
}

static int phase_versioned(const struct instance_request *op, const char *image_id,
                           const char *phase, struct error *err)
{
    char event_type[64];
    (void)snprintf(event_type, sizeof(event_type), "instance.snapshot.%s", phase);
    struct snapshot_payload snapshot = {.image_id = image_id};
    int r = load_lists(op, &snapshot, err);
    if (r == 0)
        r = notify_versioned(op, op->admin, event_type, "INFO",
                             notification_snapshot_payload(&op->instance, op->admin, &snapshot),
                             err);
    json_decref(snapshot.block_devices);
    json_decref(snapshot.shares);
    return r;
}

int report_phase(struct instance_request *op, const char *image_id, const char *phase,
                 struct error *err)
{
    static const char *const attributes[] = {"flavor", "system_metadata", "metadata", "info_cache",
                                             NULL};
    if (!notifications_are_on(op))
        return 0;
    int r = conductor_instance_load(op->agent->bus, op->admin, &op->instance, attributes, 0, err);
    if (r == 0 && format_is(op, "unversioned"))
        r = phase_legacy(op, phase, err);
    if (r == 0 && format_is(op, "versioned"))
        r = phase_versioned(op, image_id, phase, err);
    return r;
}

static int exception_legacy(const struct instance_request *op, const struct error *failure,
                            struct error *err)
{
    /* The arguments as they came: nova's own rendering shows the tenant's token. */
    json_t *arguments = json_copy(op->request->args);
    if (!arguments || json_object_set(arguments, "instance", op->instance.data) < 0) {
        json_decref(arguments);
        return error_nomem(err);
    }
    int r = notify_legacy(op, op->request->context, op->request->method, "ERROR",
                          notification_legacy_exception(failure, arguments), err);
    json_decref(arguments);
    return r;
}

int report_exception(const struct instance_request *op, const struct error *failure,
                     struct error *err)
{
    int r = 0;
    if (!notifications_are_on(op))
        return 0;
    if (format_is(op, "unversioned"))
        r = exception_legacy(op, failure, err);
    if (r == 0 && format_is(op, "versioned"))
        r = notify_versioned(op, op->request->context, "compute.exception", "ERROR",
                             notification_exception_payload(failure, op->request->method), err);
    return r;
}

void report_failure(const struct instance_request *op, const struct error *failure)
{
    struct error err = ERROR_INIT;
    log_error("%s failed: %s: %s", op->request->method, failure->exc, failure->message);
    if (op->admin && report_exception(op, failure, &err) < 0)
        log_warning("the exception notification failed: %s", err.message);
    preflight_suspect(op->agent->preflight);
}
