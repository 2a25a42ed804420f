/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One queue.declare, and what the broker's answer means. A classic queue lives on one node of a
 * cluster. While that is away the other nodes refuse to declare it and to look at it, or say
 * nothing: see silent_queues.h. Bus thread only.
 */
#pragma once

#include "amqp/connection.h"

struct queue_declaration {
    const char *name;
    bool passive; /* only looks */
    bool durable;
    bool exclusive;
    bool auto_delete;
    amqp_table_t arguments;
};

/* What a queue says of itself. */
struct queue_state {
    unsigned consumers;
    unsigned ready; /* messages that nobody has been given */
};

/*
 * -ENOENT: there is no such queue (passive). -EHOSTDOWN: there is, and it cannot be had now; the
 * channel is open. Others as channel_answered().
 */
int queue_declare(struct connection *connection, amqp_channel_t channel,
                  const struct queue_declaration *wanted, struct queue_state *ret_state,
                  struct error *err);
