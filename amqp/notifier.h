/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications; notifier_notify() is in bus.h. Pure functions. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/request_context.h"

/* False for a driver of oslo that sends nothing here ("routing", "test") and for unknown names. */
bool notifier_knows_driver(const char *driver);

/*
 * The message without its _unique_id. Takes `payload`, also on failure. The context is that of
 * oslo's _sanitize_context: no token, no catalog, no address. Returns owned.
 */
int notifier_message(const struct request_context *context, const char *publisher_id,
                     const char *event_type, const char *priority, json_t *payload,
                     json_t **ret_message, struct error *err);
