/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See notification.h. Sources: oslo_messaging/notify/notifier.py;
 * nova.context.RequestContext.to_dict for what a sanitised context consists of.
 */
#include "amqp/notification.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/id.h"

bool notification_knows_driver(const char *driver)
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

int notification_message(const struct notification *notification, json_t **ret_message,
                         struct error *err)
{
    char message_id[ID_UUID_SIZE];
    char timestamp[40];
    id_new_uuid(message_id);
    format_now(' ', timestamp);
    json_t *message =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:s}", "message_id", message_id, "publisher_id",
                  notification->publisher_id, "event_type", notification->event_type, "priority",
                  notification->priority, "payload", notification->payload, "timestamp", timestamp);
    json_t *values = blank_context();
    int r = message && values && json_object_update(message, values) == 0 ? 0 : error_nomem(err);
    json_decref(values);
    if (r == 0)
        r = copy_safe_values(notification->context, message, err);
    if (r < 0) {
        json_decref(message);
        return r;
    }
    *ret_message = message;
    return 0;
}
