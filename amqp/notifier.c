/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See notifier.h. Sources: oslo_messaging/notify/notifier.py, messaging.py, _impl_log.py;
 * nova.context.RequestContext.to_dict for what a sanitised context consists of.
 */
#include "amqp/notifier.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "amqp/bus_int.h"
#include "amqp/oslo_message.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/json.h"
#include "common/log.h"

#define ROUTING_KEY_MAX_BYTES 256

bool notifier_knows_driver(const char *driver)
{
    static const char *const known[] = {"messagingv2", "messaging", "log", "noop"};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(driver, known[i]) == 0)
            return true;
    return false;
}

/* "2026-11-23 00:03:15.776397", UTC; `separator` between date and time. */
static void format_now(char separator, char ret_text[static 40])
{
    struct timespec now;
    struct tm tm;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    size_t used = strftime(ret_text, 40, "%Y-%m-%d %H:%M:%S", &tm);
    ret_text[10] = separator;
    (void)snprintf(ret_text + used, 40 - used, ".%06ld", now.tv_nsec / 1000);
}

/* What _sanitize_context lets through; "project" and "user_identity" are made anew from these. */
static int copy_safe_values(const struct request_context *context, json_t *message,
                            struct error *err)
{
    static const char *const safe[] = {
        "user_id",
        "project_id",
        "domain_id",
        "user_domain_id",
        "project_domain_id",
        "is_admin",
        "request_id",
        "roles",
        "user_name",
        "project_name",
        "domain_name",
        "user_domain_name",
        "project_domain_name",
        "service_user_id",
        "service_user_domain_id",
        "service_user_domain_name",
        "service_project_id",
        "service_project_name",
        "service_project_domain_id",
        "service_project_domain_name",
        "service_roles",
        "global_request_id",
        "system_scope",
        "user",
        "domain",
        "user_domain",
        "project_domain",
        "project",
        "user_identity",
    };
    for (size_t i = 0; i < ARRAY_SIZE(safe); i++) {
        char key[64];
        const json_t *value = json_object_get(context->values, safe[i]);
        (void)snprintf(key, sizeof(key), "_context_%s", safe[i]);
        if (value && json_object_set_new(message, key, json_deep_copy(value)) < 0)
            return error_nomem(err);
    }
    return 0;
}

/* The values a RequestContext has of its own accord. */
static json_t *blank_context(void)
{
    char timestamp[40];
    format_now('T', timestamp);
    return json_pack("{s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n,"
                     " s:b, s:b, s:b, s:b, s:[], s:[], s:s, s:s}",
                     "_context_user", "_context_project_id", "_context_system_scope",
                     "_context_project", "_context_domain", "_context_user_domain",
                     "_context_project_domain", "_context_auth_token", "_context_request_id",
                     "_context_global_request_id", "_context_resource_uuid", "_context_user_id",
                     "_context_remote_address", "_context_quota_class", "_context_user_name",
                     "_context_is_admin", 0, "_context_read_only", 0, "_context_show_deleted", 0,
                     "_context_is_admin_project", 1, "_context_roles", "_context_service_catalog",
                     "_context_read_deleted", "no", "_context_timestamp", timestamp);
}

int notifier_message(const struct request_context *context, const char *publisher_id,
                     const char *event_type, const char *priority, json_t *payload,
                     json_t **ret_message, struct error *err)
{
    char message_id[ID_UUID_SIZE];
    char timestamp[40];
    id_new_uuid(message_id);
    format_now(' ', timestamp);
    json_t *message = json_pack("{s:s, s:s, s:s, s:s, s:o, s:s}", "message_id", message_id,
                                "publisher_id", publisher_id, "event_type", event_type, "priority",
                                priority, "payload", payload, "timestamp", timestamp);
    json_t *values = blank_context();
    int r = message && values && json_object_update(message, values) == 0 ? 0 : error_nomem(err);
    json_decref(values);
    if (r == 0)
        r = copy_safe_values(context, message, err);
    if (r < 0) {
        json_decref(message);
        return r;
    }
    *ret_message = message;
    return 0;
}

struct notification {
    struct bus_work work;
    struct publication publication;
    struct bus *bus;
    json_t *message;
    bool enveloped;
};

static struct notification *notification_of(struct publication *publication)
{
    return (struct notification *)(void *)((char *)publication -
                                           offsetof(struct notification, publication));
}

static int pack_notification(struct publication *publication, char **ret_body, size_t *ret_length,
                             struct error *err)
{
    const struct notification *notification = notification_of(publication);
    char unique_id[ID_HEX_SIZE];
    id_new_hex(unique_id);
    if (json_object_set_new(notification->message, "_unique_id", json_string(unique_id)) < 0)
        return error_nomem(err);
    return oslo_message_pack(notification->message, notification->enveloped, ret_body, ret_length,
                             err);
}

/* After a lost connection oslo sends again as well. */
static void notification_finished(struct publication *publication, enum publication_outcome outcome,
                                  const struct error *error)
{
    struct notification *notification = notification_of(publication);
    struct bus *bus = notification->bus;
    if (outcome == PUBLICATION_UNCERTAIN)
        publisher_submit(bus->notification_publisher, publication);
    else if (outcome == PUBLICATION_CONFIRMED)
        bus_work_done(bus, &notification->work, 0, NULL);
    else
        bus_work_done(bus, &notification->work, -error->errnum, error);
}

static void start_notification(struct bus *bus, struct bus_work *work)
{
    struct notification *notification =
        (struct notification *)(void *)((char *)work - offsetof(struct notification, work));
    publisher_submit(bus->notification_publisher, &notification->publication);
}

static int send_to_topic(struct bus *bus, const char *topic, const char *priority, bool enveloped,
                         json_t *message, uint64_t deadline_ms, struct error *err)
{
    char routing_key[ROUTING_KEY_MAX_BYTES];
    int n = snprintf(routing_key, sizeof(routing_key), "%s.%s", topic, priority);
    if (n < 0 || (size_t)n >= sizeof(routing_key))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "notification topic is too long");
    for (char *c = routing_key + strlen(topic); *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    struct notification notification = {
        .work.start = start_notification,
        .publication = {.exchange = bus->settings.control_exchange,
                        .routing_key = routing_key,
                        .with_queue = true,
                        .deadline_ms = deadline_ms,
                        .pack = pack_notification,
                        .finished = notification_finished},
        .bus = bus,
        .message = message,
        .enveloped = enveloped,
    };
    int r = bus_work_run(bus, &notification.work, err);
    return r < 0 ? error_prepend(err, "notification to '%s'", routing_key) : 0;
}

/* The first failure is told; the other topics are still served. */
static int send_to_topics(struct bus *bus, char *const *topics, const char *priority,
                          bool enveloped, json_t *message, struct error *err)
{
    uint64_t deadline_ms = clock_now_ms() + (uint64_t)bus->settings.rpc_response_timeout_s * 1000;
    int result = 0;
    for (; *topics; topics++) {
        struct error error = ERROR_INIT;
        int r = send_to_topic(bus, *topics, priority, enveloped, message, deadline_ms, &error);
        if (r < 0 && result == 0) {
            *err = error;
            result = r;
        }
    }
    return result;
}

static void write_to_log(const json_t *message, const char *event_type, const char *priority)
{
    char *text = json_dumps(message, JSON_COMPACT);
    enum log_level level = strcmp(priority, "ERROR") == 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO;
    if (text)
        log_write(level, LOG_HERE, "oslo.messaging.notification.%s %s", event_type, text);
    free(text);
}

int notifier_notify(struct bus *bus, enum notification_kind kind,
                    const struct request_context *context, const char *publisher_id,
                    const char *event_type, const char *priority, json_t *payload,
                    struct error *err)
{
    BUS_SCOPE(bus);
    const struct bus_settings *settings = &bus->settings;
    char *const *topics = kind == NOTIFICATION_LEGACY ? settings->notification_topics
                                                      : settings->versioned_notification_topics;
    json_t *message = NULL;
    int result =
        notifier_message(context, publisher_id, event_type, priority, payload, &message, err);
    if (result < 0)
        return result;
    for (char *const *driver = settings->notification_drivers; *driver; driver++) {
        struct error error = ERROR_INIT;
        bool enveloped = strcmp(*driver, "messagingv2") == 0;
        int r = 0;
        if (enveloped || strcmp(*driver, "messaging") == 0)
            r = send_to_topics(bus, topics, priority, enveloped, message, &error);
        else if (strcmp(*driver, "log") == 0)
            write_to_log(message, event_type, priority);
        if (r < 0 && result == 0) {
            *err = error;
            result = r;
        }
    }
    json_decref(message);
    return result;
}
