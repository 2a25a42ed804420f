/* SPDX-License-Identifier: Apache-2.0 */
/* A request about an instance that reports no task state: what its files share. */
#pragma once

#include "agent/report.h"

struct instance_request {
    struct agent *agent;
    struct rpc_request *request; /* owned */
    struct request_context *admin;
    struct instance instance;
    struct report report;
};

/*
 * Takes `request`; reads its instance, elevates its context and names both in this thread's log
 * lines. The object is to be ended also after a failure. `op` may not move meanwhile.
 */
int instance_request_begin(struct instance_request *op, struct agent *agent,
                           struct rpc_request *request, struct error *err);

/* Image properties of requests that nova-api sends with the instance's own columns only. */
int instance_request_load_properties(struct instance_request *op, struct error *err);

/* Logs a failure and notifies about it, as nova's wrap_exception. */
void instance_request_failed(struct instance_request *op, const struct error *failure);

void instance_request_end(struct instance_request *op);
