/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests over libcurl, which only http*.c here and the REST clients know.
 *
 * http_request() is thread-safe: every call uses a handle of its own out of a small pool.
 * TLS is verified unless `insecure`; redirects are not followed, proxies of the environment not
 * used, only http and https are spoken.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "common/http_request.h"
#include "common/http_response.h"

/* keystoneauth1 session options of a config group. NULL = not given. Copied where kept. */
struct http_options {
    const char *cafile; /* a file or a folder: it alone decides whom we trust; NULL: the system */
    const char *certfile;
    const char *keyfile;
    bool insecure;
    const char *unix_socket; /* where to connect to, whatever the URL's host; NULL: there */
    unsigned timeout_s;      /* of a request without image data; 0 = the agent's own, 60 s */
    unsigned retry_delay_ms; /* before the first repetition; 0 = 500 ms */
};

/*
 * The TLS options of the first that has any, together; the time limit of the first that has one.
 * Strings are borrowed from them.
 */
struct http_options http_options_first(const struct http_options *first,
                                       const struct http_options *second);

struct http_client;

/* Needs no network. Returns owned. */
int http_client_new(const struct http_options *options, struct http_client **ret_client,
                    struct error *err);

/* NULL-safe. No request may be running. */
void http_client_free(struct http_client *client);

/*
 * One request, one answer, whatever its status. On failure *ret_failure says why, besides *err:
 * EINVAL, ECONNREFUSED, EPROTO, ECONNRESET, ETIMEDOUT, EMSGSIZE, the source's own or ECANCELED, in
 * the order of enum http_failure (ENOMEM at any time). A request of cancelled work ends at once,
 * and none begins. Fill of *ret_response is owned: http_response_done().
 */
int http_request(struct http_client *client, const struct http_request *request,
                 struct http_response *ret_response, enum http_failure *ret_failure,
                 struct error *err);

/* The delay before the first repetition that the options ask for. */
unsigned http_client_retry_delay_ms(const struct http_client *client);

/* True when the same request may do better later, if it is one that may be repeated at all. */
bool http_failure_is_transient(enum http_failure failure);

/* 429, 502, 503, 504. */
bool http_status_is_transient(unsigned status);
