/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Glance v2 as a snapshot needs it: GET, list, PATCH, PUT file, locations, DELETE.
 *
 * Requests carry the user's token from the RPC context, X-Service-Token when a session is given,
 * and X-OpenStack-Request-ID. Endpoint (nova.image.glance:get_api_servers): api_servers,
 * endpoint_override, else the context's catalog. Redirects are never followed. Thread-safe; each
 * call uses its own handle.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/error.h"
#include "common/http.h"
#include "common/image_source.h"
#include "common/keystone.h"
#include "common/request_context.h"

struct glance;

/* [glance]; names are nova's. Lists are NULL-ended; all strings are copied. */
struct glance_options {
    const char *const *api_servers; /* deprecated option; empty = not used */
    const char *endpoint_override;
    const char *service_type; /* image */
    const char *service_name;
    const char *const *valid_interfaces; /* internal, public */
    const char *region_name;
    unsigned num_retries;      /* repetitions of a request; an upload has at most 2 */
    unsigned stall_timeout_s;  /* below 1 KiB/s this long, an upload is given up; 0 = 120 */
    unsigned poll_interval_ms; /* while Glance settles a broken upload; 0 = 2000 */
    struct http_options http;

    /* The agent's own, not the user's: where a user's token has expired it reads and deletes the
     * images of a request. Borrowed for the client's life; NULL = there is none. */
    struct keystone_session *own_session;
};

struct glance_image {
    char *id;
    char *name;             /* NULL when the image has none */
    char *status;           /* queued, saving, active, ... */
    char *disk_format;      /* NULL when unset */
    char *container_format; /* NULL when unset */
    char *os_hash_algo;     /* NULL when unset */
    char *os_hash_value;
    int64_t size_bytes; /* -1 when unset */
    json_t *object;     /* the whole answer; owned */
};

/*
 * `service_session` is borrowed for the client's life and may be NULL. Needs no network; EINVAL
 * names an option that cannot be used. Returns owned.
 */
int glance_new(const struct glance_options *options, struct keystone_session *service_session,
               struct glance **ret_glance, struct error *err);

/* NULL-safe. No call may be running. */
void glance_free(struct glance *glance);

/* The base URL of the next request, without version and slash at the end. Returns owned. */
int glance_endpoint(struct glance *glance, const struct request_context *context, char **ret_url,
                    struct error *err);

/*
 * Whether Glance answers: one of api_servers, else endpoint_override, else `of_catalog`
 * (glance_endpoint(); NULL: it is not known where Glance is, and 0). Each is asked once, for at
 * most `timeout_ms`. GlanceConnectionFailed and what http_request() fails with.
 */
int glance_reach(struct glance *glance, const char *of_catalog, unsigned timeout_ms,
                 struct error *err);

/*
 * Errors of all calls carry the class nova raises and the answer's http_status: ImageBadRequest
 * (400), ImageNotAuthorized (401, 403), ImageNotFound (404), ImageQuotaExceeded (413),
 * ImageUnacceptable (415), GlanceConnectionFailed (no answer, 429, 502, 503, 504 to the end), else
 * glanceclient's own: HTTPConflict (409), HTTPInternalServerError (500), HTTPException. Requests
 * that may be repeated are, for at most three minutes; a 401 is answered once with a fresh service
 * token.
 *
 * Reads the image. An image id that is not a UUID is refused before any request, here and
 * below (EINVAL, ImageNotFound). Fill of *ret_image is owned: glance_image_done().
 */
int glance_image_get(struct glance *glance, const struct request_context *context,
                     const char *image_id, struct glance_image *ret_image, struct error *err);

/*
 * The same in one attempt of at most `timeout_ms` (and what a new service token takes): for those
 * who look again and again.
 */
int glance_image_peek(struct glance *glance, const struct request_context *context,
                      const char *image_id, unsigned timeout_ms, struct glance_image *ret_image,
                      struct error *err);

/* NULL-safe. */
void glance_image_done(struct glance_image *image);

/*
 * The images whose properties equal `filters` (borrowed; an object of strings: image_type,
 * backup_type, instance_uuid, status, owner, ...), newest first, all pages. Pages are asked for
 * where the first one was, whatever host "next" names. More than 100 pages or 10000 images:
 * EMSGSIZE. Returns an owned array of objects, each with a UUID "id" and a "status".
 */
int glance_image_list(struct glance *glance, const struct request_context *context,
                      const json_t *filters, json_t **ret_objects, struct error *err);

/*
 * Sets attributes in one json-patch: "replace" for base fields (name, disk_format,
 * container_format, min_disk, min_ram, visibility), "add" for properties. `attributes` (borrowed)
 * maps names to values; values are sent as nova does: strings as they are, other types as Python's
 * str(), except min_disk/min_ram, which stay integers; JSON null and kernel_id/ramdisk_id of '' or
 * 'none' are left out. Arrays and objects are refused (EINVAL). Not while an upload is under way:
 * Glance would put the image back to "queued".
 */
int glance_image_update(struct glance *glance, const struct request_context *context,
                        const char *image_id, const json_t *attributes, struct error *err);

/*
 * Uploads the bytes and verifies that the image is active with the size and os_hash_value of what
 * was read (hashed while sending). Restarts from byte 0 after retriable failures, at most 3
 * attempts; a Glance that is away is waited for, for stall_timeout_s. Only Glance itself can bring
 * an image back that it was saving (no API does): when it goes on saving what nobody sends any
 * more, it is given up (ImageUploadFailed); deleting it works. A source (borrowed, at its first
 * byte) of 0 bytes is refused. ImageNotFound when the image was deleted meanwhile;
 * ImageUploadFailed when it ends in another state or holds other bytes; the source's own error. But
 * for ImageNotFound, the image is left for the caller to delete.
 */
int glance_image_upload(struct glance *glance, const struct request_context *context,
                        const char *image_id, struct image_source *source, struct error *err);

/*
 * Makes a queued image active without data, as nova does for a volume-backed server
 * (nova.image.glance:_create_v2, a PUT of 0 bytes), and verifies that it is active with size 0.
 * disk_format must be raw: from 2025.1 on Glance finds that nothing is no qcow2. Repeated and
 * failing like glance_image_upload().
 */
int glance_image_activate_empty(struct glance *glance, const struct request_context *context,
                                const char *image_id, struct error *err);

/*
 * Gives a queued image its data by reference: `url` is "rbd://<fsid>/<pool>/<image>/<snap>". The
 * other way is taken where Glance does not have or forbids the first. Verifies that the image is
 * active; waits for Glance's task, at most five minutes or stall_timeout_s. ImageNotAuthorized
 * (403) when Glance does not take locations from us, ImageUploadFailed when the image ends in
 * another state.
 */
enum glance_location_way {
    GLANCE_LOCATION_PATCH, /* "add /locations/-"; [DEFAULT]show_multiple_locations of Glance's */
    GLANCE_LOCATION_POST   /* API 2.17, for services; a hash is computed once it is active */
};

int glance_image_add_location(struct glance *glance, const struct request_context *context,
                              const char *image_id, const char *url, enum glance_location_way first,
                              struct error *err);

/*
 * Deletes the image. ImageDeleteConflict (409). ImageNotFound may mean that an earlier attempt
 * whose answer was lost has deleted it.
 */
int glance_image_delete(struct glance *glance, const struct request_context *context,
                        const char *image_id, struct error *err);
