/* SPDX-License-Identifier: Apache-2.0 */
/* How http.c fills an answer. Readers of answers need http.h only. */
#pragma once

#include "common/http.h"

#define HTTP_ANSWER_HEADERS_MAX 128

struct http_answer_header {
    char *name;
    char *value;
};

/* Copies one header. More than HTTP_ANSWER_HEADERS_MAX are refused (EMSGSIZE). */
int http_response_add_header(struct http_response *response, const char *name, const char *value,
                             struct error *err);

/*
 * Of an answer whose body is only good for a reason: keeps its beginning, without the secrets that
 * it quotes. Before the request's own are forgotten.
 */
void http_response_strip(struct http_response *response);
