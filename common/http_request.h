/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of a server, and why it may get no answer. Clients include http.h, which sends it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/image_source.h"

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

struct curl_slist;

/*
 * EINVAL for a URL that is none, is not http or https, or has credentials in it: libcurl says no
 * more than "malformed", and a password in a URL would get into messages.
 */
int http_request_check_url(const char *url, struct error *err);

struct http_url_text {
    char text[512];
};

/* A URL for people: without what may be a secret, credentials and query. Any text will do. */
struct http_url_text http_request_show_url(const char *url);

/* The headers as libcurl wants them. Returns owned: http_request_free_headers(). EINVAL, ENOMEM. */
int http_request_make_headers(const struct http_request *request, struct curl_slist **ret_list,
                              struct error *err);

/* Tokens were in there: they are cleared. NULL-safe. */
void http_request_free_headers(struct curl_slist *list);
