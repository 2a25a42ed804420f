/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exchanges and queues as oslo declares them (impl_rabbit.py), careful with those others share: a
 * passive declare first, because their arguments may differ from ours; only what is missing is
 * declared, and once more with the other `durable` when somebody was faster. -EHOSTDOWN is a queue
 * on a node that is away, see queue_declare.h. Bus thread only.
 */
#pragma once

#include "amqp/connection.h"
#include "amqp/queue_declare.h"

/* A topic exchange shared with all of Nova, such as control_exchange. */
int topology_need_exchange(struct connection *connection, const struct rabbit_options *options,
                           const char *exchange, struct error *err);

/* A queue of that name bound to `exchange` with its name as the key: topics, notifications. */
int topology_need_queue(struct connection *connection, const struct rabbit_options *options,
                        const char *exchange, const char *queue, struct error *err);

/* The fanout exchange of `topic` and `queue` of ours bound to it. */
int topology_need_fanout(struct connection *connection, const struct rabbit_options *options,
                         const char *topic, const char *queue, struct error *err);

/* A queue of ours that replies are sent to directly. */
int topology_need_reply_queue(struct connection *connection, const struct rabbit_options *options,
                              const char *queue, struct error *err);

/* Asks `queue`, on `channel`, behind what was sent there. -ENOENT: there is no such queue. */
int topology_look(struct connection *connection, amqp_channel_t channel, const char *queue,
                  struct queue_state *ret_state, struct error *err);
