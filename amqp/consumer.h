/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said to the broker on SERVER_CHANNEL: who we consume, and what becomes of a delivery.
 * False everywhere: it could not be sent, the connection is dropped and all of the channel with it.
 * Bus thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "amqp/bus_settings.h"
#include "amqp/connection.h"
#include "amqp/librabbitmq.h"

struct consumer {
    struct connection *connection;
    const struct bus_settings *settings;
    unsigned n_started; /* makes tags unique */
    char tag[32];       /* of the present or last consumer of the host's queue; "" = none yet */
};

/* Borrows both. */
void consumer_init(struct consumer *consumer, struct connection *connection,
                   const struct bus_settings *settings);

/* Consumes `queue`; the broker's answer is not waited for: a refusal closes the channel. */
bool consumer_start(struct consumer *consumer, const char *queue, const char *tag);

/* The same for the host's queue, with a new tag. */
bool consumer_start_host_queue(struct consumer *consumer, const char *queue);

/* Ends the consumer of the host's queue; what is under way still comes. */
bool consumer_cancel(struct consumer *consumer);

/*
 * Ends a consumer and waits for the broker's answer, before which it may still give us what is
 * published on another connection. A consumer it does not know of, it confirms too.
 */
bool consumer_cancel_and_wait(struct consumer *consumer, const char *tag);

bool consumer_ack(struct consumer *consumer, uint64_t delivery_tag);
bool consumer_requeue(struct consumer *consumer, uint64_t delivery_tag);
bool consumer_reject(struct consumer *consumer, uint64_t delivery_tag);

/* basic.qos, waited for; 0 = no limit. */
int consumer_limit_prefetch(struct consumer *consumer, uint16_t count, struct error *err);
