/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cinder v3 as a snapshot needs it: volumes, snapshots, limits, attachments.
 *
 * Requests carry the user's token from the RPC context, X-Service-Token when a session is given,
 * and X-OpenStack-Request-ID. Endpoint (nova.volume.cinder:_get_cinderclient_parameters):
 * endpoint_template, else the context's catalog. Redirects are never followed. Thread-safe; each
 * call uses its own handle.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/http.h"
#include "common/id.h"
#include "common/keystone.h"
#include "common/request_context.h"

#define CINDER_STATUS_SIZE 32

struct cinder;

/* [cinder]; names are nova's. All strings are copied; NULL or "" = not given. */
struct cinder_options {
    const char *catalog_info;      /* "type:name:interface"; volumev3::publicURL */
    const char *endpoint_template; /* with %(project_id)s or %(tenant_id)s; else the catalog */
    const char *os_region_name;
    unsigned http_retries;     /* repetitions of a request */
    unsigned poll_interval_ms; /* while a snapshot is being made or deleted; 0 = 500, as nova */
    struct http_options http;
};

/*
 * `service_session` is borrowed for the client's life and may be NULL. Needs no network; EINVAL
 * names an option that cannot be used. Returns owned.
 */
int cinder_new(const struct cinder_options *options, struct keystone_session *service_session,
               struct cinder **ret_cinder, struct error *err);

/* NULL-safe. No call may be running. */
void cinder_free(struct cinder *cinder);

/*
 * The base URL of requests for this context, without a slash at the end.
 * UnsupportedCinderAPIVersion when it is none of v3. Returns owned.
 */
int cinder_endpoint(const struct cinder *cinder, const struct request_context *context,
                    char **ret_url, struct error *err);

/*
 * Errors of all calls carry the class nova raises and the answer's http_status: InvalidInput (400),
 * Unauthorized (401), Forbidden (403), VolumeNotFound, SnapshotNotFound, VolumeAttachmentNotFound
 * (404), OverQuota (413), CinderConnectionFailed (no answer, 429, 502, 503, 504 to the end),
 * InternalError (any other; EBUSY for 409). Requests are repeated as in common/rest.h; all but
 * cinder_snapshot_create() may be. An id that is not a UUID is refused before any request (EINVAL
 * with the class of 404).
 */

/* Whether it answers a request of this context, with what it says of limits; within
 * `timeout_ms`. */
int cinder_reach(struct cinder *cinder, const struct request_context *context, unsigned timeout_ms,
                 struct error *err);

struct cinder_volume {
    char id[ID_UUID_SIZE];
    char status[CINDER_STATUS_SIZE]; /* available, in-use, ... */
    char *description;               /* NULL = none */
    int64_t size_gib;
    json_t *object; /* the whole "volume"; owned */
};

/* Fill of *ret_volume is owned: cinder_volume_done(). */
int cinder_volume_get(struct cinder *cinder, const struct request_context *context,
                      const char *volume_id, struct cinder_volume *ret_volume, struct error *err);

/* NULL-safe. */
void cinder_volume_done(struct cinder_volume *volume);

struct cinder_snapshot {
    char id[ID_UUID_SIZE];
    char status[CINDER_STATUS_SIZE]; /* creating, available, error, deleting, error_deleting, ... */
    char volume_id[ID_UUID_SIZE];
    json_t *object; /* the whole "snapshot"; owned */
};

/* Everything is borrowed. */
struct cinder_snapshot_request {
    const char *volume_id;
    const char *name;        /* NULL = none */
    const char *description; /* NULL = none */
    const json_t *metadata;  /* strings; together they must be unique to this request */
    uint64_t deadline_ms; /* clock_now_ms() at which it is given up; 0 = the client's own limits */
};

/*
 * Begins a snapshot of a volume, also of one in use ("force"). There is never a second one: when
 * the answer to a POST is missing, cannot be read or is a 5xx, the volume's snapshots are searched
 * for this metadata, several times, before another POST. VolumeNotFound (404). When that search
 * fails or the deadline passes, the message says that it is not known whether there is a snapshot;
 * cinder_snapshot_find() tells later. Fill of *ret_snapshot is owned: cinder_snapshot_done().
 */
int cinder_snapshot_create(struct cinder *cinder, const struct request_context *context,
                           const struct cinder_snapshot_request *request,
                           struct cinder_snapshot *ret_snapshot, struct error *err);

/*
 * Looks for the volume's snapshot whose metadata has all members of the request's. *ret_found tells
 * whether *ret_snapshot is filled, then owned: cinder_snapshot_done(). More than 100 pages:
 * EMSGSIZE.
 */
int cinder_snapshot_find(struct cinder *cinder, const struct request_context *context,
                         const struct cinder_snapshot_request *request, bool *ret_found,
                         struct cinder_snapshot *ret_snapshot, struct error *err);

/*
 * Begins the deletion; one that has begun before counts too. Cinder takes it only in status
 * available or error, else InvalidInput. SnapshotNotFound may mean that an earlier attempt whose
 * answer was lost has deleted it.
 */
int cinder_snapshot_delete(struct cinder *cinder, const struct request_context *context,
                           const char *snapshot_id, struct error *err);

/*
 * os-update_snapshot_status, how nova reports to a driver that lets it take the snapshot: `status`
 * creating with `progress` "90%", or error; `progress` may be NULL.
 */
int cinder_snapshot_update_status(struct cinder *cinder, const struct request_context *context,
                                  const char *snapshot_id, const char *status, const char *progress,
                                  struct error *err);

/*
 * Polls until the status is no longer "creating"; whether it is "available" is for the caller to
 * see. ETIMEDOUT when clock_now_ms() passes `deadline_ms` (NEVER_MS is allowed); until then a
 * Cinder that does not answer is waited for. Fill of *ret_snapshot is owned:
 * cinder_snapshot_done().
 */
int cinder_snapshot_await(struct cinder *cinder, const struct request_context *context,
                          const char *snapshot_id, uint64_t deadline_ms,
                          struct cinder_snapshot *ret_snapshot, struct error *err);

/*
 * After cinder_snapshot_delete(): polls until there is no such snapshot. EBUSY when it ends in
 * another status: error_deleting, or available again when volumes depend on it. ETIMEDOUT as above.
 */
int cinder_snapshot_await_gone(struct cinder *cinder, const struct request_context *context,
                               const char *snapshot_id, uint64_t deadline_ms, struct error *err);

/* NULL-safe. */
void cinder_snapshot_done(struct cinder_snapshot *snapshot);

/* Of the context's project. -1 = unlimited. */
struct cinder_limits {
    int64_t max_snapshots, used_snapshots;
    int64_t max_gigabytes, used_gigabytes; /* volumes and snapshots together */
};

int cinder_limits_get(struct cinder *cinder, const struct request_context *context,
                      struct cinder_limits *ret_limits, struct error *err);

/*
 * How a host reaches an attached volume, as nova keeps it in a block device mapping: reads the
 * attachment (microversion 3.44) and puts its members where nova has them. Returns an owned object;
 * it may hold passwords: never log it.
 */
int cinder_attachment_connection_info(struct cinder *cinder, const struct request_context *context,
                                      const char *attachment_id, json_t **ret_connection_info,
                                      struct error *err);
