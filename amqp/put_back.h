/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is put back to nova-compute's queue, and when we may consume again after that.
 *
 * Putting back is never free. A quorum queue counts it and drops a message that was put back more
 * often than its x-delivery-limit allows (20 by default since RabbitMQ 4.0, [oslo_messaging_rabbit]
 * rabbit_quorum_delivery_limit), and nova-compute's own share of that is left to nova-compute. So a
 * message is put back once, and once more only when nova-compute dies with it in its hands: nobody
 * consumes before the queue has been seen empty.
 *
 * Does no I/O; times are clock_now_ms(). Bus thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "amqp/content.h"

#define PUT_BACK_MAX 64 /* requests that may be held at a time */

struct put_back {
    uint64_t held[PUT_BACK_MAX]; /* delivery tags */
    unsigned n_held;
    bool came_back;         /* one of them had been given out before */
    uint64_t most_counted;  /* how often one of them, as the queue says */
    uint64_t strikes;       /* how often something came back lately */
    uint64_t struck_ms;     /* when it did last */
    bool timed;             /* how long the queue takes, since it was given something */
    uint64_t look_pause_ms; /* between looks for what nova-compute has not taken; grows */
};

void put_back_init(struct put_back *put_back);

/* Remembers a request that is not served. False when that was the last one there is room for. */
bool put_back_hold(struct put_back *put_back, const struct amqp_content *content);

/*
 * All that is held has just been given back: forgets it and returns when to look whether
 * nova-compute has taken it. *ret_stand_aside: it is to be left alone until then, however healthy
 * it seems, because something came back.
 */
uint64_t put_back_given(struct put_back *put_back, uint64_t now_ms, bool *ret_stand_aside);

/*
 * A look at the queue after giving, answered when it has cancelled our consumer: the first one only
 * tells how long it takes for that, and nothing of what it was given then. True: look in earnest at
 * *ret_look_ms.
 */
bool put_back_settles(struct put_back *put_back, uint64_t asked_ms, uint64_t answered_ms,
                      uint64_t *ret_look_ms);

/* At a look nova-compute had not taken everything: returns how long to wait before the next. */
uint64_t put_back_pause(struct put_back *put_back);

/* At a look it had, or it was not there. */
void put_back_taken(struct put_back *put_back);

/* The connection is gone, and with it what was held. */
void put_back_lost(struct put_back *put_back);
