/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue that replies to our calls come in, consumed on REPLY_CHANNEL. It has a random name and
 * is declared by each connection; servers know it by the "_reply_q" of a call. Bus thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "amqp/connection.h"
#include "common/error.h"
#include "common/id.h"
#include "common/rabbit_options.h"

struct reply_queue {
    struct connection *connection;
    const struct rabbit_options *options;
    char name[sizeof("reply_") + ID_HEX_SIZE];
    bool is_consumed;
    uint64_t lost_ms; /* when its consumer was lost; 0 = it is not */
    uint64_t look_ms, look_pause_ms;
};

/* Borrows both for its lifetime. */
void reply_queue_init(struct reply_queue *queue, struct connection *connection,
                      const struct rabbit_options *options);

/*
 * The connection is new: declares and consumes it, under a new name after a long outage. While its
 * node is away, -EHOSTDOWN; when that lasts, under a new one as well, unless the broker was silent
 * about others, too.
 */
int reply_queue_up(struct reply_queue *queue, struct error *err);
void reply_queue_down(struct reply_queue *queue);

/* The broker cancelled the consumer: the queue is gone. Declares it again. */
void reply_queue_cancelled(struct reply_queue *queue);

/*
 * Looks at it when that is due, which waits for the broker's answer. One that the broker has lost
 * costs the connection: what else it lost with it is told by nothing, either.
 */
void reply_queue_run(struct reply_queue *queue, uint64_t now_ms);
uint64_t reply_queue_next_ms(const struct reply_queue *queue);

/*
 * No reply is waited for any more: deletes the queue, without waiting for an answer. oslo.messaging
 * leaves its own to expire, half an hour after their end.
 */
void reply_queue_end(struct reply_queue *queue);
