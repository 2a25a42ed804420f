/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BUS_ATTACH_EXCLUSIVE: the queues an RPC server of oslo has, declared as it does: the topic's,
 * which it shares with others, its host's, and one of its own at the topic's fanout exchange.
 * Bus thread only.
 */
#pragma once

#include "amqp/bus_settings.h"
#include "amqp/consumer.h"
#include "common/error.h"

struct exclusive_queues {
    const struct bus_settings *settings;
    struct consumer *consumer;
    const char *host_queue;
    char fanout_queue[256];
};

/* Borrows all for its lifetime. */
void exclusive_queues_init(struct exclusive_queues *queues, const struct bus_settings *settings,
                           struct consumer *consumer, const char *host_queue);

/* Declares and consumes them. -EHOSTDOWN: one cannot be had now. */
int exclusive_queues_consume(struct exclusive_queues *queues, struct error *err);

/* Ends the consumers but the host queue's. */
void exclusive_queues_cancel(struct exclusive_queues *queues);

/* Removes our own; after exclusive_queues_cancel(). */
void exclusive_queues_delete(struct exclusive_queues *queues);
