/* SPDX-License-Identifier: Apache-2.0 */
/* See host_claim.h. */
#include "amqp/host_claim.h"

#include <errno.h>
#include <stdio.h>

#include "amqp/topology.h"
#include "common/log.h"

void host_claim_init(struct host_claim *claim, const char *host)
{
    *claim = (struct host_claim){.is_ours = false};
    (void)snprintf(claim->queue, sizeof(claim->queue), "nova-snapshot-agent.%s", host);
}

/* Of a type that can be exclusive, whatever is the default of the virtual host. */
static int declare(const struct host_claim *claim, struct connection *connection, struct error *err)
{
    amqp_table_entry_t type = {
        .key = amqp_cstring_bytes("x-queue-type"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("classic")},
    };
    const amqp_table_t arguments = {.num_entries = 1, .entries = &type};
    (void)amqp_queue_declare(connection_state(connection), TOPOLOGY_CHANNEL,
                             amqp_cstring_bytes(claim->queue), false, false, true, true, arguments);
    return connection_answered(connection, TOPOLOGY_CHANNEL, "queue.declare", err);
}

bool host_claim_take(struct host_claim *claim, struct connection *connection)
{
    struct error err = ERROR_INIT;
    if (claim->is_ours)
        return true;
    int r = declare(claim, connection, &err);
    claim->is_ours = r != -EBUSY && connection_is_up(connection);
    if (r == -EBUSY && !claim->complained)
        log_error("not attached: another agent, or an earlier connection of this one, serves this "
                  "host: %s",
                  err.message);
    else if (r < 0 && claim->is_ours) /* it may not declare such a queue */
        log_debug("whether another agent serves this host is not known: %s", err.message);
    claim->complained = r == -EBUSY;
    return claim->is_ours;
}

void host_claim_lost(struct host_claim *claim)
{
    claim->is_ours = false;
}

void host_claim_release(struct host_claim *claim, struct connection *connection)
{
    struct error ignored = ERROR_INIT;
    if (!claim->is_ours || !connection_is_up(connection))
        return;
    claim->is_ours = false;
    (void)amqp_queue_delete(connection_state(connection), TOPOLOGY_CHANNEL,
                            amqp_cstring_bytes(claim->queue), false, false);
    (void)connection_answered(connection, TOPOLOGY_CHANNEL, "queue.delete", &ignored);
}
