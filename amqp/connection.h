/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One AMQP connection that comes back after every loss, over all hosts of a transport_url.
 *
 * Everything here belongs to the bus thread. Only establishing a connection, which may block for
 * seconds, is done by a thread of its own that wakes the bus thread when it is through.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "amqp/content.h"
#include "amqp/librabbitmq.h"
#include "amqp/silent_queues.h"
#include "common/error.h"
#include "common/rabbit_options.h"
#include "common/transport_url.h"

struct connection;

/* All run on the bus thread, `arg` first. */
struct connection_ops {
    /* A new connection with its channels: declare, consume. A failure drops it. */
    int (*up)(void *arg, struct error *err);

    /* It is gone; every channel, delivery tag and consumer with it. Also after an up()
     * that failed. */
    void (*down)(void *arg);

    void (*content)(void *arg, const struct amqp_content *content);

    /* basic.ack, basic.nack, basic.cancel. */
    void (*method)(void *arg, amqp_channel_t channel, const amqp_method_t *method);
};

/* All is borrowed for the connection's lifetime. */
struct connection_setup {
    const struct transport_url *url;
    const struct rabbit_options *options;
    const char *purpose; /* its name in logs */
    int wake_fd;         /* the bus thread's eventfd */

    /* Opened where it may take a while, 0-ended: a broker that is silent must not hold the bus. */
    const amqp_channel_t *channels;

    /* A connection to the same hosts, or NULL: while that one is not up either, it alone tells
     * why. */
    const struct connection *speaker;
    const struct connection_ops *ops;
    void *arg;
};

/* Prepares a connection; connection_run() connects. Returns owned, NULL when out of memory. */
struct connection *connection_new(const struct connection_setup *setup);

/* Closes politely when it is up; waits for an attempt to connect (20 s). NULL-safe. */
void connection_free(struct connection *connection);

/* Connects again when it is time, reads what came, sends heartbeats. */
void connection_run(struct connection *connection, uint64_t now_ms);

/* When connection_run() must be called even if nothing comes; 0 = input is waiting. */
uint64_t connection_next_ms(const struct connection *connection);

/* To poll for POLLIN; -1 while it is not up. */
int connection_fd(const struct connection *connection);

bool connection_is_up(const struct connection *connection);

/* The one it is connected to, only while connection_is_up(). Borrowed from the URL. */
const struct transport_host *connection_host(const struct connection *connection);

/* The broker has asked for no more publishing (memory or disk alarm). */
bool connection_is_blocked(const struct connection *connection);

/*
 * This broker has refused a queue that is neither durable nor exclusive, by closing the connection
 * (541, the deprecated feature transient_nonexcl_queues, denied by default from RabbitMQ 4.3 on).
 */
bool connection_denies_transient_queues(const struct connection *connection);

/* Of this broker, whichever node it is connected to. Borrowed. */
struct silent_queues *connection_silent_queues(struct connection *connection);

/* The broker's max_message_size, when the connection was lost by a message beyond it; else 0. */
uint64_t connection_max_message_bytes(const struct connection *connection);

/* Why it is not up or takes nothing, in a phrase; "" when it does, or there was no attempt yet. */
const char *connection_trouble(const struct connection *connection);

/* For calls of librabbitmq; only while connection_is_up(). */
amqp_connection_state_t connection_state(const struct connection *connection);

/* Gives the connection up; the next connection_run() calls down() and starts over. */
void connection_drop(struct connection *connection, const char *reason);

/* Gives it up because the broker has closed `what`: "connection", or the "channel" it sent on. */
void connection_closed(struct connection *connection, const char *what, uint16_t code,
                       amqp_bytes_t text);
