/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scripted HTTP server for unit tests, on an ephemeral loopback port: it expects the requests of
 * a list in this order, checks each, and answers, or misbehaves, as the list says. Raw sockets,
 * because what it has to imitate are broken servers.
 *
 * One request per connection unless a step keeps it alive; connections are served one by one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum http_action {
    HTTP_REPLY,    /* the whole answer */
    HTTP_EARLY,    /* the whole answer, without reading the body */
    HTTP_DROP,     /* reads `bytes` of the body, then resets the connection */
    HTTP_TRUNCATE, /* announces the whole answer, sends `bytes` of its body, closes */
    HTTP_STALL,    /* reads at most `bytes` of the body, then leaves the connection as it is */
    HTTP_RAW,      /* sends `reply` as it is, as if it were an answer */
    HTTP_FLOOD,    /* the same, and then `again` over and over until the client goes */
    HTTP_DRIP,     /* sends `reply` byte by byte, `delay_ms` apart, until the client goes */
};

#define HTTP_STEP_HEADERS 6

/* Unset members are not checked. Everything is borrowed until http_script_finish(). */
struct http_step {
    const char *method;                     /* checked with the path */
    const char *path;                       /* with query */
    const char *headers[HTTP_STEP_HEADERS]; /* "Name: value" wanted, "!Name" unwanted */
    const void *body;                       /* the body must be these bytes */
    size_t body_bytes;                      /* 0 = strlen(body) */
    const char *body_has;                   /* the body must contain this text */

    enum http_action action;
    size_t bytes;
    unsigned status;           /* 0 = 200 */
    const char *reply_headers; /* lines ended by CR LF; NULL = Content-Type: application/json */
    const char *reply;
    size_t reply_bytes; /* 0 = strlen(reply) */
    const char *again;
    unsigned delay_ms; /* before the answer */
    bool keep_alive;
    void (*then)(void *); /* called when all of this has been done, by the server's thread */
    void *then_opaque;
};

struct http_script;

/* Fails the test when it cannot listen. */
struct http_script *http_script_start(const struct http_step *steps, size_t count);

/* "http://127.0.0.1:<port>" */
const char *http_script_url(const struct http_script *script);

/* Ends the server and fails the test when a request was not as expected, or any is missing. */
void http_script_finish(struct http_script *script);

/* A port of this host on which nobody listens. */
unsigned http_script_unused_port(void);
