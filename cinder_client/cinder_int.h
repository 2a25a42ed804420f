/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of cinder_client/ share. */
#pragma once

#include <stdbool.h>

#include "cinder_client/cinder.h"

struct cinder {
    char *catalog_info; /* cut into the three below */
    const char *service_type;
    const char *service_name; /* "" = any */
    const char *interface;
    char *endpoint_template; /* NULL = not used */
    char *region_name;       /* NULL = any */
    unsigned http_retries;
    unsigned poll_interval_ms;
    struct http_client *http;
    struct keystone_session *service_session; /* borrowed, may be NULL */
};

/* What a path is about, for errors. */
struct cinder_kind {
    const char *name;      /* "Volume" */
    const char *not_found; /* the class nova raises when there is none */
};

extern const struct cinder_kind cinder_kind_volume;
extern const struct cinder_kind cinder_kind_snapshot;
extern const struct cinder_kind cinder_kind_snapshots; /* the list of a volume's */
extern const struct cinder_kind cinder_kind_attachment;
extern const struct cinder_kind cinder_kind_limits;

/* One request. Everything is borrowed. */
struct cinder_call {
    const char *method;
    const char *path; /* below the endpoint: "/volumes/<id>" */
    const char *body; /* JSON; NULL = none */
    const char *microversion;
    const struct cinder_kind *kind;
    const char *id;       /* in messages */
    bool once;            /* not to be repeated when it may have been carried out */
    uint64_t deadline_ms; /* 0 = none */
};

/* EINVAL with the kind's class when `id` is no UUID: it will be part of a path. */
int cinder_check_id(const struct cinder_kind *kind, const char *id, struct error *err);

/* The lesser of the time left until `deadline_ms` (0 = none), at least 1, and `limit_ms`. */
unsigned cinder_time_left_ms(uint64_t deadline_ms, unsigned limit_ms);

/*
 * rest_call(); success is a 2xx answer, any other becomes *err. On failure *ret_maybe_done tells
 * whether Cinder may have carried it out.
 */
int cinder_call(const struct cinder *cinder, const struct request_context *context,
                const struct cinder_call *call, struct http_response *ret_response,
                bool *ret_maybe_done, struct error *err);

/* The same, for answers that are not read and failures that are final. */
int cinder_do(const struct cinder *cinder, const struct request_context *context,
              const struct cinder_call *call, struct error *err);

/* The object `key` of a JSON answer (EBADMSG when it is none). Returns owned. */
int cinder_answer_object(const struct http_response *response, const char *key, json_t **ret_object,
                         struct error *err);

/* cinder_call() and cinder_answer_object(). */
int cinder_get_object(const struct cinder *cinder, const struct request_context *context,
                      const struct cinder_call *call, const char *key, json_t **ret_object,
                      struct error *err);

/* Copies a member that must be a string that fits (EBADMSG). */
int cinder_copy_member(const json_t *object, const char *key, char *buffer, size_t size,
                       struct error *err);

/* Takes `object`, also on failure (EBADMSG). */
int cinder_snapshot_parse(json_t *object, struct cinder_snapshot *ret_snapshot, struct error *err);

/* Reads the object. The id has been checked; deadline_ms as in struct cinder_call. */
int cinder_snapshot_read(const struct cinder *cinder, const struct request_context *context,
                         const char *snapshot_id, uint64_t deadline_ms,
                         struct cinder_snapshot *ret_snapshot, struct error *err);

/* What makes a snapshot findable: EINVAL, VolumeNotFound (no UUID) or InvalidInput (metadata). */
int cinder_check_snapshot_request(const struct cinder_snapshot_request *request, struct error *err);
