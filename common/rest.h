/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One authenticated call to an OpenStack service: the user's token out of the request context,
 * X-Service-Token when a session is given, X-OpenStack-Request-ID, and repetitions. What an answer
 * means is the client's business. Thread-safe; each call uses a handle of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/http.h"
#include "common/keystone.h"
#include "common/request_context.h"

/* The service as one client sees it. Everything is borrowed. */
struct rest_service {
    const char *name; /* "Glance", for messages */
    struct http_client *http;
    struct keystone_session *service_session; /* may be NULL */
    struct keystone_session *own_session;     /* its token instead of the user's; else NULL */
    unsigned retries;
};

#define REST_EXTRA_HEADERS 2

/* Everything is borrowed for the call. */
struct rest_call {
    const char *method;

    /* Returns the URL, owned; asked before each attempt. */
    int (*make_url)(const void *opaque, char **ret_url, struct error *err);

    /* Told of each attempt: its answer, else (NULL) why there is none. NULL: nobody asks. */
    void (*attempted)(const void *opaque, const char *url, const struct http_response *response,
                      enum http_failure failure);
    const void *opaque;

    struct http_header headers[REST_EXTRA_HEADERS]; /* beside tokens, id, Accept, Content-Type */
    const char *content_type;                       /* NULL = no body */
    const char *body;
    struct image_source *source; /* instead of body, with these two as in http.h */
    unsigned stall_ms;
    unsigned answer_ms;

    bool may_repeat;   /* also when an attempt that got no answer may have been carried out */
    bool repeats_500;  /* with may_repeat: whatever the method */
    unsigned total_ms; /* over all attempts, of rest_send() the only one; 0 or too long: three
                          minutes, of one the limit of http.h */
};

/*
 * One attempt, as http_request(). A service token that was answered with 401 is forgotten, so that
 * the next attempt gets a fresh one.
 */
int rest_send(const struct rest_service *service, const struct request_context *context,
              const struct rest_call *call, struct http_response *ret_response,
              enum http_failure *ret_failure, struct error *err);

/*
 * rest_send() with repetitions; 0 when there is an answer, whatever its status. Tried again are a
 * connection that was not made, 429 and, once, 401 (a stale service token, for which `retries` need
 * not allow it, or a service that could not ask Keystone just then); with `may_repeat` also a
 * missing answer, 502, 503, 504, and 500 of a GET or where it is said. Not for a call with a
 * source.
 */
int rest_call(const struct rest_service *service, const struct request_context *context,
              const struct rest_call *call, struct http_response *ret_response,
              enum http_failure *ret_failure, struct error *err);
