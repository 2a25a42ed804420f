/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One AMQP connection that comes back after every loss, over all hosts of a transport_url.
 *
 * Everything here belongs to the bus thread. Only establishing a connection, which may block for
 * seconds, is done by a thread of its own that wakes the bus thread when it is through.
 */
#pragma once

#include <amqp.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/rabbit_options.h"
#include "common/transport_url.h"

struct connection;

/* A message that came: basic.deliver or, `returned`, basic.return. Valid during the callback. */
struct amqp_content {
    amqp_channel_t channel;
    bool returned;
    uint16_t reply_code; /* of a return */
    uint64_t delivery_tag;
    bool redelivered;        /* somebody was given it before */
    uint64_t delivery_count; /* how often, when the queue counts (x-delivery-count); else 0 */
    bool is_plain_json;      /* content_type application/json, not compressed */
    uint64_t size_bytes;     /* as announced */
    char *body;
    size_t length; /* what of it was kept: less than size_bytes when that is too large */
};

/* All run on the bus thread, `arg` first. */
struct connection_ops {
    /* A new connection: open channels, declare, consume. A failure drops it. */
    int (*up)(void *arg, struct error *err);

    /* It is gone; every channel, delivery tag and consumer with it. Also after an up()
     * that failed. */
    void (*down)(void *arg);

    void (*content)(void *arg, const struct amqp_content *content);

    /* basic.ack, basic.nack, basic.cancel. */
    void (*method)(void *arg, amqp_channel_t channel, const amqp_method_t *method);
};

/*
 * Prepares a connection named `purpose` in logs. Borrows everything for its lifetime; `wake_fd` is
 * the bus's eventfd. `speaker` (NULL: none) goes to the same hosts: while it is not up either, it
 * alone tells why. NULL when out of memory.
 */
struct connection *connection_new(const struct transport_url *url,
                                  const struct rabbit_options *options, const char *purpose,
                                  int wake_fd, const struct connection *speaker,
                                  const struct connection_ops *ops, void *arg);

/* Closes politely when it is up. NULL-safe. */
void connection_free(struct connection *connection);

/* Connects again when it is time, reads what came, sends heartbeats. */
void connection_run(struct connection *connection, uint64_t now_ms);

/* When connection_run() must be called even if nothing comes; 0 = input is waiting. */
uint64_t connection_next_ms(const struct connection *connection);

/* To poll for POLLIN; -1 while it is not up. */
int connection_fd(const struct connection *connection);

bool connection_is_up(const struct connection *connection);

/* The broker has asked for no more publishing (memory or disk alarm). */
bool connection_is_blocked(const struct connection *connection);

/*
 * This broker has refused a queue that is neither durable nor exclusive, by closing the connection
 * (541, the deprecated feature transient_nonexcl_queues, denied by default from RabbitMQ 4.3 on).
 */
bool connection_denies_transient_queues(const struct connection *connection);

/* Why it is not up or takes nothing, in a phrase; "" when it does, or there was no attempt yet. */
const char *connection_trouble(const struct connection *connection);

/* For calls of librabbitmq; only while connection_is_up(). */
amqp_connection_state_t connection_state(const struct connection *connection);

/* Gives the connection up; the next connection_run() calls down() and starts over. */
void connection_drop(struct connection *connection, const char *reason);

/*
 * Judges a call that sends without waiting (amqp_basic_ack...). -ECONNRESET drops the connection.
 */
int connection_sent(struct connection *connection, int status, const char *what, struct error *err);

/*
 * Judges a call that waited for the broker's answer. When the broker closed the channel, it is
 * opened again and the error is -ENOENT (404), -EEXIST (406: declared with other arguments),
 * -EACCES (403) or -EPROTO. Anything worse drops the connection: -ECONNRESET.
 */
int connection_answered(struct connection *connection, amqp_channel_t channel, const char *what,
                        struct error *err);

/* -ECONNRESET: the connection is dropped. */
int connection_open_channel(struct connection *connection, amqp_channel_t channel,
                            struct error *err);
