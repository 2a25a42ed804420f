/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The notification payloads of nova-compute, built from an instance: legacy dictionaries
 * (nova.notifications.base.info_from_instance) and versioned objects
 * (nova.notifications.objects). Versions are the same from Zed on but where it is said.
 *
 * Builders return owned JSON, or NULL when out of memory.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "agent/instance.h"
#include "common/error.h"
#include "common/request_context.h"

/* compute.instance.snapshot.start/.end. `image_ref_url` as nova: <glance>/images/<image_ref>. */
json_t *notification_legacy_usage(const struct instance *instance, const char *image_ref_url);

/* What InstanceActionSnapshotPayload has besides the instance; lists are borrowed. */
struct snapshot_payload {
    const char *image_id;
    json_t *block_devices; /* mappings; NULL: [notifications]bdms_in_notifications is off */
    bool tells_shares;     /* RELEASE_TELLS_SHARES: version 1.10, with ... */
    json_t *shares;        /* mappings; NULL: [notifications]include_share_mapping is off */
};

/* InstanceActionSnapshotPayload 1.9 or 1.10. */
json_t *notification_snapshot_payload(const struct instance *instance,
                                      const struct request_context *context,
                                      const struct snapshot_payload *snapshot);

/* Legacy payload of a failed method: the exception and the arguments. `arguments` is borrowed. */
json_t *notification_legacy_exception(const struct error *failure, json_t *arguments);

/* ExceptionPayload of compute.exception. `method` is the RPC method that failed. */
json_t *notification_exception_payload(const struct error *failure, const char *method);
