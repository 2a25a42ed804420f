/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of an answer, from the lines that libcurl hands over one by one. For http_transfer.c:
 * the call of libcurl's own that lists them, curl_easy_nextheader(), came with 7.83.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/http_response.h"

#define HTTP_HEAD_MAX_BYTES (300u << 10) /* libcurl's own limit, since 8.3 */

struct http_head {
    struct http_response answer; /* its headers alone; owned */
    size_t bytes;
    bool is_open; /* between a status line and the empty one */
};

/*
 * Takes a line as it was sent. A status line begins anew, as the answer does behind a 100; what
 * comes behind the body is left out, and so is what is no header. EMSGSIZE beyond the limits,
 * ENOMEM.
 */
int http_head_add(struct http_head *head, const char *line, size_t length, struct error *err);
