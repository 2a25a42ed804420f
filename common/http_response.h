/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server's answer: how http_transfer.c fills it, and how clients read it, who include http.h.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/error.h"

#define HTTP_BODY_MAX_BYTES (8u << 20)
#define HTTP_ANSWER_HEADERS_MAX 128

struct http_answer_header {
    char *name;
    char *value;
};

struct http_response {
    unsigned status;
    char *body; /* ends with NUL besides; unless 2xx, its beginning without secrets of ours */
    size_t body_bytes;
    struct http_answer_header *headers;
    size_t header_count;
};

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

/* Copies one header. More than HTTP_ANSWER_HEADERS_MAX are refused (EMSGSIZE). */
int http_response_add_header(struct http_response *response, const char *name, const char *value,
                             struct error *err);

/*
 * Of an answer whose body is only good for a reason: keeps its beginning, without the secrets that
 * it quotes. Before the request's own are forgotten.
 */
void http_response_strip(struct http_response *response);
