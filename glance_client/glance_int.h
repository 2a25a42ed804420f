/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of glance_client/ share. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/retry.h"
#include "glance_client/glance.h"

struct glance {
    char **api_servers; /* ended by NULL, in random order; NULL = not used */
    unsigned api_server_count;
    atomic_uint next_api_server;
    atomic_uint_least64_t *api_server_failed_ms; /* when each did last; 0 = it has answered since */
    char *endpoint_override;                     /* NULL = not used */
    char *service_type;
    char *service_name;      /* NULL = any */
    char **valid_interfaces; /* ended by NULL */
    char *region_name;       /* NULL = any */
    unsigned num_retries;
    unsigned stall_ms;
    unsigned poll_interval_ms;
    struct http_client *http;
    struct keystone_session *service_session; /* borrowed, may be NULL */
    struct keystone_session *own_session;     /* the same */
};

/* One request about one image, or the list of them. Everything is borrowed. */
struct glance_call {
    const char *method;
    const char *image_id;     /* NULL = the list */
    const char *suffix;       /* of the path: "", "/file", "?limit=..." */
    const char *content_type; /* NULL = no body */
    const char *body;
    struct image_source *source; /* instead of body */
    unsigned total_ms;           /* of glance_send(), 0 = no limit; of glance_call() as in rest.h */
};

/* Waiting for what Glance makes of an image. Everything is borrowed. */
struct glance_wait {
    const char *image_id;
    const char *const *passing; /* statuses that do not last; ended by NULL */
    unsigned patience_ms;
};

/* The one whose turn it is; when all have failed lately, the one that did so first. */
const char *glance_api_server(struct glance *glance, uint64_t now_ms);

/* Remembers whether the server of `url` could be used, for a while when it could not. */
void glance_api_server_judge(struct glance *glance, const char *url, bool answered,
                             uint64_t now_ms);

/* Whether `text` is in a list ended by NULL. */
bool glance_is_one_of(const char *text, const char *const *list);

/* EINVAL, ImageNotFound, when `image_id` is no UUID: it will be part of a path. */
int glance_check_image_id(const char *image_id, struct error *err);

/*
 * One attempt, as http_request(). A service token that was answered with 401 is forgotten, so that
 * the next attempt gets a fresh one.
 */
int glance_send(struct glance *glance, const struct request_context *context,
                const struct glance_call *call, struct http_response *ret_response,
                enum http_failure *ret_failure, struct error *err);

/*
 * glance_send() with repetitions (every such call may be repeated); success is a 2xx answer, any
 * other is turned into *err. Where the user's token has expired, an image is read and deleted with
 * the agent's own.
 */
int glance_call(struct glance *glance, const struct request_context *context,
                const struct glance_call *call, struct http_response *ret_response,
                struct error *err);

/*
 * Reads the object, again and again while its status is a passing one or Glance is away, at most
 * 150 times and for patience_ms; then ImageUploadFailed, or why there was no answer.
 */
int glance_image_settle(struct glance *glance, const struct request_context *context,
                        const struct glance_wait *wait, struct glance_image *ret_image,
                        struct error *err);

/* The attempts to give an image its data: num_retries and one, at most 3. */
struct retry glance_begin_attempts(const struct glance *glance);

/* The patience with what Glance does on its own, when it has all it needs. */
unsigned glance_patience_ms(const struct glance *glance);

/*
 * glance_image_upload() of an id that has been checked and of a source that may be empty: uploads,
 * again if need be, and verifies what Glance holds then.
 */
int glance_upload_verified(struct glance *glance, const struct request_context *context,
                           const char *image_id, struct image_source *source, struct error *err);

/* The error of an image whose status says that it never becomes active: ImageNotFound,
 * ImageUploadFailed. Returns -errno. */
int glance_image_lost(const struct glance_image *image, struct error *err);

/* Fills *err with the class that nova maps the answer to. Returns -errno. */
int glance_refused(const struct glance_call *call, const struct http_response *response,
                   struct error *err);

/*
 * Makes GlanceConnectionFailed of a transport error; what was refused here, and a cancellation,
 * stay what they are. Returns -errno.
 */
int glance_no_answer(const struct glance_call *call, enum http_failure failure, struct error *err);
