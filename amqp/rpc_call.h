/* SPDX-License-Identifier: Apache-2.0 */
/* A call of somebody else's method, see rpc_call(). */
#pragma once

#include <jansson.h>

#include "common/request_context.h"

/* All is borrowed but `args`, which whoever is given the call takes, also on failure. */
struct rpc_call {
    const char *topic;   /* "conductor" */
    const char *version; /* of its interface, "3.0" */
    const struct request_context *context;
    const char *method;
    json_t *args;        /* object */
    unsigned timeout_ms; /* publishing included; 0 = rpc_response_timeout */
};
