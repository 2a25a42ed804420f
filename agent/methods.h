/* SPDX-License-Identifier: Apache-2.0 */
/* The RPC table: which methods the agent serves, how, and what it cannot serve of them. */
#pragma once

#include <stdbool.h>

#include "common/error.h"

struct agent;
struct instance_request;
struct rpc_request;

struct method {
    const char *name;

    /* Says why the request cannot be served here. Runs before the ack, on the bus thread. */
    int (*check)(const struct agent *agent, const struct rpc_request *request, struct error *err);

    /* Says why the request is not begun, though one that was can be brought to its end here. NULL:
     * there is no reason. Runs before the ack as well, after check. */
    int (*decline)(const struct agent *agent, const struct rpc_request *request, struct error *err);

    /* Serves it on a worker thread. Takes what is handed over; waits for its turn before it touches
     * the guest. */
    void (*serve)(const struct instance_request *handed_over);

    /* Brings to its end what an agent that died was serving, likewise. NULL: the method leaves
     * nothing behind, and is not in the journal. */
    void (*recover)(const struct instance_request *handed_over);

    /* Never waits for others: it gets no turn. */
    bool jumps_the_queue;

    /* When nobody knows whether the broker has our ack. */
    enum { GIVE_UP, SERVE_ALL_THE_SAME, FIND_OUT } in_doubt;
};

/* The versions of nova's compute interface that are served, NULL-ended. */
extern const char *const methods_rpc_versions[];

/* The method of the request; NULL when the agent does not serve it. Any thread. */
const struct method *methods_find(const struct rpc_request *request);

/* Says why a request is not to be taken. Quick; bus thread, before the ack. */
int methods_check(const struct agent *agent, const struct method *method,
                  const struct rpc_request *request, struct error *err);
