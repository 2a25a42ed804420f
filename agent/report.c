/* SPDX-License-Identifier: Apache-2.0 */
/* See report.h. */
#include "agent/report.h"

#include <stdio.h>
#include <string.h>

#include "agent/notification.h"
#include "agent/release.h"
#include "amqp/bus.h"
#include "common/cleanup.h"
#include "conf/conf.h"
#include "glance_client/glance.h"

#define EVENT_MAX 64

static const char *event_name(const struct report *report, char name[static EVENT_MAX])
{
    (void)snprintf(name, EVENT_MAX, "compute_%s", report->method);
    return name;
}

int report_event_start(const struct report *report, struct error *err)
{
    char name[EVENT_MAX];
    return conductor_event_start(report->agent->bus, report->context, report->instance->uuid,
                                 event_name(report, name), report->agent->conf->DEFAULT.host, err);
}

int report_event_finish(const struct report *report, const struct error *failure, struct error *err)
{
    char name[EVENT_MAX];
    return conductor_event_finish(report->agent->bus, report->context, report->instance->uuid,
                                  event_name(report, name), failure, err);
}

static json_t *state_list(const char *const *states, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, states[i] ? json_string(states[i]) : json_null());
    return list;
}

int report_task_state(const struct report *report, const char *task_state,
                      const char *const *expected, size_t n_expected, struct error *err)
{
    json_t *changes = json_pack("{s:s?}", "task_state", task_state);
    json_t *states = state_list(expected, n_expected);
    int r = changes && states ? conductor_instance_save(report->agent->bus, report->admin,
                                                        report->instance, changes, states, err)
                              : error_nomem(err);
    if (r == 0)
        r = instance_merge(report->instance, changes, err);
    json_decref(changes);
    json_decref(states);
    return r;
}

int report_read_states(const struct report *report, struct instance_states *ret_states,
                       struct error *err)
{
    return conductor_instance_states(report->agent->bus, report->admin, report->instance->uuid,
                                     ret_states, err);
}

int report_power_state(const struct report *report, enum power_state power_state, struct error *err)
{
    json_t *changes = json_pack("{s:i}", "power_state", (int)power_state);
    if (!changes)
        return error_nomem(err);
    int r = conductor_instance_save(report->agent->bus, report->admin, report->instance, changes,
                                    NULL, err);
    if (r == 0)
        r = instance_merge(report->instance, changes, err);
    json_decref(changes);
    return r;
}

int report_fault(const struct report *report, const struct error *failure, struct error *err)
{
    return conductor_fault_create(report->agent->bus, report->context, report->instance->uuid,
                                  report->agent->conf->DEFAULT.host, failure, err);
}

static bool format_is(const struct report *report, const char *format)
{
    const char *configured = report->agent->conf->notifications.notification_format;
    return strcmp(configured, "both") == 0 || strcmp(configured, format) == 0;
}

/* Takes `payload`. */
static int notify_legacy(const struct report *report, const struct request_context *context,
                         const char *event_type, const char *priority, json_t *payload,
                         struct error *err)
{
    char publisher[300];
    (void)snprintf(publisher, sizeof(publisher), "compute.%s", report->agent->conf->DEFAULT.host);
    if (!payload)
        return error_nomem(err);
    return notifier_notify(report->agent->bus, NOTIFICATION_LEGACY, context, publisher, event_type,
                           priority, payload, err);
}

/* Takes `payload`. */
static int notify_versioned(const struct report *report, const struct request_context *context,
                            const char *event_type, const char *priority, json_t *payload,
                            struct error *err)
{
    char publisher[300];
    (void)snprintf(publisher, sizeof(publisher), "nova-compute:%s",
                   report->agent->conf->DEFAULT.host);
    if (!payload)
        return error_nomem(err);
    return notifier_notify(report->agent->bus, NOTIFICATION_VERSIONED, context, publisher,
                           event_type, priority, payload, err);
}

static bool notifications_are_on(const struct report *report)
{
    return report->agent->conf->oslo_messaging_notifications.driver[0] != NULL;
}

/* nova.image.glance:generate_image_url */
static int image_ref_url(const struct report *report, char **ret_url, struct error *err)
{
    const char *image_ref = instance_string(report->instance, "image_ref");
    cleanup_free char *endpoint = NULL;
    int r = glance_endpoint(report->agent->glance, report->admin, &endpoint, err);
    if (r < 0)
        return r;
    return asprintf(ret_url, "%s/images/%s", endpoint, image_ref ? image_ref : "") < 0
               ? error_nomem(err)
               : 0;
}

static int phase_legacy(const struct report *report, const char *phase, struct error *err)
{
    char event_type[64];
    (void)snprintf(event_type, sizeof(event_type), "compute.instance.snapshot.%s", phase);
    cleanup_free char *url = NULL;
    int r = image_ref_url(report, &url, err);
    if (r < 0)
        return r;
    return notify_legacy(report, report->admin, event_type, "INFO",
                         notification_legacy_usage(report->instance, url), err);
}

static int load_lists(const struct report *report, struct snapshot_payload *snapshot,
                      struct error *err)
{
    const struct agent *agent = report->agent;
    const struct instance *instance = report->instance;
    int r = 0;
    snapshot->tells_shares = release_has(agent->release, instance, RELEASE_TELLS_SHARES);
    if (agent->conf->notifications.bdms_in_notifications)
        r = conductor_block_device_mappings(agent->bus, report->admin, instance->uuid,
                                            &snapshot->block_devices, err);
    if (r == 0 && snapshot->tells_shares && agent->conf->notifications.include_share_mapping)
        r = conductor_share_mappings(agent->bus, report->admin, instance->uuid, &snapshot->shares,
                                     err);
    return r;
}

static int phase_versioned(const struct report *report, const char *phase, struct error *err)
{
    char event_type[64];
    (void)snprintf(event_type, sizeof(event_type), "instance.snapshot.%s", phase);
    struct snapshot_payload snapshot = {.image_id = report->image_id};
    int r = load_lists(report, &snapshot, err);
    if (r == 0)
        r = notify_versioned(
            report, report->admin, event_type, "INFO",
            notification_snapshot_payload(report->instance, report->admin, &snapshot), err);
    json_decref(snapshot.block_devices);
    json_decref(snapshot.shares);
    return r;
}

int report_phase(const struct report *report, const char *phase, struct error *err)
{
    static const char *const attributes[] = {"flavor", "system_metadata", "metadata", "info_cache",
                                             NULL};
    if (!notifications_are_on(report))
        return 0;
    int r = conductor_instance_load(report->agent->bus, report->admin, report->instance, attributes,
                                    err);
    if (r == 0 && format_is(report, "unversioned"))
        r = phase_legacy(report, phase, err);
    if (r == 0 && format_is(report, "versioned"))
        r = phase_versioned(report, phase, err);
    return r;
}

static int exception_legacy(const struct report *report, const struct error *failure,
                            struct error *err)
{
    /* The arguments as they came: nova's own rendering shows the tenant's token. */
    json_t *arguments = json_copy(report->args);
    if (!arguments || json_object_set(arguments, "instance", report->instance->data) < 0) {
        json_decref(arguments);
        return error_nomem(err);
    }
    int r = notify_legacy(report, report->context, report->method, "ERROR",
                          notification_legacy_exception(failure, arguments), err);
    json_decref(arguments);
    return r;
}

int report_exception(const struct report *report, const struct error *failure, struct error *err)
{
    int r = 0;
    if (!notifications_are_on(report))
        return 0;
    if (format_is(report, "unversioned"))
        r = exception_legacy(report, failure, err);
    if (r == 0 && format_is(report, "versioned"))
        r = notify_versioned(report, report->context, "compute.exception", "ERROR",
                             notification_exception_payload(failure, report->method), err);
    return r;
}
