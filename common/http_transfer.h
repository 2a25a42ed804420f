/* SPDX-License-Identifier: Apache-2.0 */
/* One request on a curl handle, from its headers to its answer. For http.c alone. */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "common/http_handle.h"
#include "common/http_request.h"
#include "common/http_response.h"

/* What all requests of a client have in common. NULL = not given. */
struct http_transfer_options {
    char *cafile, *certfile, *keyfile, *unix_socket;
    bool insecure;
    unsigned timeout_ms; /* of a request without a source */
};

/*
 * As http_request() in http.h, whose errors these are; the URL has been checked. All is borrowed,
 * the fill of *ret_response is owned. The handle belongs to the calling thread and is left without
 * options.
 */
int http_transfer_run(struct http_handle *handle, const struct http_transfer_options *options,
                      const struct http_request *request, struct http_response *ret_response,
                      enum http_failure *ret_failure, struct error *err);
