/* SPDX-License-Identifier: Apache-2.0 */
/* See host_claim.h. */
#include "amqp/host_claim.h"

#include <errno.h>
#include <stdio.h>

#include "amqp/channel.h"
#include "amqp/queue_declare.h"
#include "amqp/table_entry.h"
#include "amqp/topology.h"
#include "common/clock.h"
#include "common/log.h"

#define SLACK_MS 10000
#define UNWATCHED_MS 180000

#define SILENCES 2 /* one may be the network */

/* Each look costs the connection. Who has it when its node is back may be another agent. */
#define SILENT_MS 60000

void host_claim_init(struct host_claim *claim, const char *host, unsigned heartbeat_s)
{
    *claim = (struct host_claim){
        .grace_ms = heartbeat_s > 0 ? 2 * (uint64_t)heartbeat_s * 1000 + SLACK_MS : UNWATCHED_MS,
    };
    (void)snprintf(claim->queue, sizeof(claim->queue), "nova-snapshot-agent.%s", host);
}

/* Of a type that can be exclusive, whatever is the default of the virtual host. */
static int declare_claim(const struct host_claim *claim, struct connection *connection,
                         struct error *err)
{
    amqp_table_entry_t type = table_entry_text("x-queue-type", "classic");
    struct queue_state ignored;
    const struct queue_declaration wanted = {.name = claim->queue,
                                             .exclusive = true,
                                             .auto_delete = true,
                                             .arguments = {.num_entries = 1, .entries = &type}};
    return queue_declare(connection, TOPOLOGY_CHANNEL, &wanted, &ignored, err);
}

/* The broker has answered, and will not tell whatever it is asked. */
static bool is_never_told(int r)
{
    return r == -EACCES || r == -EPROTO || r == -EEXIST;
}

/*
 * To declare a queue of a dead connection is refused like one of a living connection's: its process
 * is not asked. To look at it is.
 */
static bool is_our_dead_one(struct host_claim *claim, struct connection *connection)
{
    struct queue_state ignored;
    struct error failure = ERROR_INIT;
    if (!claim->was_ours || clock_now_ms() < claim->silent_until_ms)
        return claim->was_ours;
    int r = topology_look(connection, TOPOLOGY_CHANNEL, claim->queue, &ignored, &failure);
    if (r == -ETIMEDOUT && ++claim->silences >= SILENCES)
        claim->silent_until_ms = clock_now_ms() + SILENT_MS;
    else if (r == -EBUSY)
        claim->was_ours = false;
    if (r != -ETIMEDOUT && r != -ECONNRESET)
        claim->silences = 0;
    return r == -EHOSTDOWN;
}

/* An earlier connection of ours has it, as far as can be told. */
static bool is_still_ours(struct host_claim *claim, struct connection *connection)
{
    return clock_now_ms() < claim->ours_until_ms || is_our_dead_one(claim, connection);
}

/* Each reason for not attaching once. */
static void note_refusal(struct host_claim *claim, int r, const struct error *refusal)
{
    if (claim->complained_of == r)
        return;
    claim->complained_of = r;
    if (r == -EBUSY)
        log_error("not attached: another agent serves this host: %s", refusal->message);
    else
        log_warning("not attached: whether another agent serves this host is not known: %s",
                    refusal->message);
}

bool host_claim_take(struct host_claim *claim, struct connection *connection)
{
    struct error err = ERROR_INIT;
    if (claim->is_ours)
        return true;
    int r = declare_claim(claim, connection, &err);
    if (r == -EBUSY && is_still_ours(claim, connection))
        return true;
    if (!connection_is_up(connection))
        return false;
    claim->is_ours = r == 0 || is_never_told(r);
    if (!claim->is_ours) {
        note_refusal(claim, r, &err);
        return false;
    }
    claim->complained_of = 0;
    claim->was_ours = r == 0;
    claim->silences = 0;
    claim->silent_until_ms = 0;
    if (r == 0)
        log_debug("holding queue %s: no other agent serves this host", claim->queue);
    else
        log_debug("whether another agent serves this host is not told: %s", err.message);
    return true;
}

void host_claim_lost(struct host_claim *claim)
{
    if (claim->is_ours)
        claim->ours_until_ms = clock_now_ms() + claim->grace_ms;
    claim->is_ours = false;
}
