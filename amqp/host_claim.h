/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One agent per host name, whatever state folder it has: whoever serves compute.<host> holds a
 * queue of its own, "nova-snapshot-agent.<host>", which the broker gives to one connection alone
 * and removes with it. Nothing is ever sent there. Bus thread only.
 */
#pragma once

#include <stdbool.h>

#include "amqp/connection.h"

struct host_claim {
    char queue[256];
    bool is_ours;    /* by this connection, or the broker does not let us know */
    bool complained; /* that it is another's */
};

void host_claim_init(struct host_claim *claim, const char *host);

/*
 * True when it is ours. False, and an error in the log once, while another connection has it; that
 * may be an earlier one of this agent which the broker has not missed yet.
 */
bool host_claim_take(struct host_claim *claim, struct connection *connection);

/* The connection is gone. */
void host_claim_lost(struct host_claim *claim);

/* Leaves it to the next one. */
void host_claim_release(struct host_claim *claim, struct connection *connection);
