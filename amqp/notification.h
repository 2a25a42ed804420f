/* SPDX-License-Identifier: Apache-2.0 */
/* A notification and the message it becomes. Pure functions. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/request_context.h"

enum notification_kind { NOTIFICATION_LEGACY, NOTIFICATION_VERSIONED };

/* All is borrowed but `payload`, which whoever is given the notification takes, also on failure. */
struct notification {
    enum notification_kind kind; /* chooses the topics */
    const struct request_context *context;
    const char *publisher_id; /* "compute.<host>" */
    const char *event_type;   /* "compute.instance.snapshot.start" */
    const char *priority;     /* "INFO" or "ERROR" */
    json_t *payload;
};

/* False for a driver of oslo that sends nothing here ("routing", "test") and for unknown names. */
bool notification_knows_driver(const char *driver);

/*
 * The message without its _unique_id. The context is that of oslo's _sanitize_context: no token, no
 * catalog, no address. Returns owned.
 */
int notification_message(const struct notification *notification, json_t **ret_message,
                         struct error *err);
