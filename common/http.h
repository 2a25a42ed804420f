/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests over libcurl. The only file besides the REST clients that knows curl.
 *
 * http_request() is thread-safe: every call uses a handle of its own out of a small pool.
 * TLS is verified unless `insecure`; redirects are not followed, proxies of the environment not
 * used, only http and https are spoken.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/image_source.h"

#define HTTP_BODY_MAX_BYTES (8u << 20)

/* keystoneauth1 session options of a config group. NULL = not given. Copied where kept. */
struct http_options {
    const char *cafile; /* a file or a folder: it alone decides whom we trust; NULL: the system */
    const char *certfile;
    const char *keyfile;
    bool insecure;
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

struct http_header {
    const char *name;
    const char *value; /* NULL or "": not sent. Control characters are refused. */
};

/* Everything is borrowed for the call. */
struct http_request {
    const char *method;
    const char *url; /* http or https, without credentials in it */
    const struct http_header *headers;
    size_t header_count;
    unsigned total_ms; /* whole request, without a source only; 0 or too long: the options' limit */

    const char *body; /* NULL: none */
    size_t body_bytes;

    /*
     * Instead of `body`: sent with Content-Length source->size_bytes and (above 1 MiB) Expect. The
     * source stands at its first byte. No limit on the whole; below 1 KiB/s over `stall_ms` it is
     * given up, and after the last byte the answer may take `answer_ms`.
     */
    struct image_source *source;
    unsigned stall_ms;
    unsigned answer_ms;
};

/* Why no answer came, which decides what a caller may do about it. */
enum http_failure {
    HTTP_FAILED_REQUEST,  /* refused here, nothing was sent: bad URL, bad header, no memory */
    HTTP_FAILED_CONNECT,  /* nothing was sent: no such host, refused, timed out, TLS broke off */
    HTTP_FAILED_TLS,      /* nothing was sent: a certificate does not suit */
    HTTP_FAILED_ANSWER,   /* sent, maybe in part; the answer was missing, cut off or no HTTP */
    HTTP_FAILED_TIMEOUT,  /* sent, maybe in part; a limit passed */
    HTTP_FAILED_SIZE,     /* the answer was too large */
    HTTP_FAILED_SOURCE,   /* the source failed; the error is its own */
    HTTP_FAILED_CANCELED, /* sent, maybe in part; the thread's work was cancelled (common/cancel.h)
                           */
};

struct http_response {
    unsigned status;
    char *body; /* ends with NUL besides; unless 2xx, its beginning without secrets of ours */
    size_t body_bytes;
    struct http_answer_header *headers;
    size_t header_count;
};

/*
 * One request, one answer, whatever its status. On failure *ret_failure says why, besides *err:
 * EINVAL, ECONNREFUSED, EPROTO, ECONNRESET, ETIMEDOUT, EMSGSIZE, the source's own or ECANCELED, in
 * the order of enum http_failure (ENOMEM at any time). A request of cancelled work ends at once,
 * and none begins. Fill of *ret_response is owned: http_response_done().
 */
int http_request(struct http_client *client, const struct http_request *request,
                 struct http_response *ret_response, enum http_failure *ret_failure,
                 struct error *err);

/* True when the same request may do better later, if it is one that may be repeated at all. */
bool http_failure_is_transient(enum http_failure failure);

/* 429, 502, 503, 504. */
bool http_status_is_transient(unsigned status);

/* The delay before the first repetition that the options ask for. */
unsigned http_client_retry_delay_ms(const struct http_client *client);

/* Value of the answer's header, any case; NULL when absent. Borrowed. */
const char *http_response_header(const struct http_response *response, const char *name);

/* Retry-After in milliseconds, 0 when absent or a date; at most an hour. */
unsigned http_response_retry_after_ms(const struct http_response *response);

/* Parses a body that says it is JSON; `what` names it in the error (EBADMSG). Returns owned. */
int http_response_json(const struct http_response *response, const char *what, json_t **ret_value,
                       struct error *err);

#define HTTP_REASON_SIZE 256

/*
 * What the answer says about its status, as one line of printable ASCII: "<status>: <text>". The
 * text is the "message" of OpenStack's JSON errors, else the body; without HTML tags.
 */
void http_response_reason(const struct http_response *response, char ret_reason[HTTP_REASON_SIZE]);

/* Clears and frees the fill; NULL-safe. Headers and body may have held a token. */
void http_response_done(struct http_response *response);
