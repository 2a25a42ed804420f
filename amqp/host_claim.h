/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One agent per host name, whatever state folder it has: whoever serves compute.<host> holds a
 * queue of its own, "nova-snapshot-agent.<host>", which the broker gives to one connection alone
 * and removes with it. Nothing is ever sent there. Bus thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "amqp/connection.h"

struct host_claim {
    char queue[256];
    bool is_ours;             /* by this connection, or the broker does not let us know */
    int complained_of;        /* in the log: why it is not; 0: of nothing */
    uint64_t grace_ms;        /* how long the broker may go without missing a connection */
    uint64_t ours_until_ms;   /* while an earlier connection of ours may still have it */
    bool was_ours;            /* and nobody else's since, as far as we know */
    unsigned silences;        /* in a row: looks at it that got no answer */
    uint64_t silent_until_ms; /* is not looked at again, its connection is dead */
};

/* `heartbeat_s`: the connection's, 0 for none. */
void host_claim_init(struct host_claim *claim, const char *host, unsigned heartbeat_s);

/*
 * True when it is ours. Also for a while when it seems another's, after our connection was cut off:
 * until two heartbeats are missed, the broker takes the dead connection, which had it, for alive;
 * and RabbitMQ 4.2 and later keep what a connection had on a node that was killed until that is
 * back. False while another agent has it, and as long as the broker says nothing: a second agent
 * must not come in because a broker is slow. The log has it once.
 */
bool host_claim_take(struct host_claim *claim, struct connection *connection);

/* The connection is gone. */
void host_claim_lost(struct host_claim *claim);
