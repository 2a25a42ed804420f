/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that were accepted, on their way to being served, in this order: each is written down by
 * a thread that may wait for the disk, then acked, and served when the broker has answered
 * something behind the ack.
 *
 * Not acked before it is written down: nobody would know of it if we died. Not served before the
 * ack has arrived, and a write to a socket does not tell that: a request whose ack is lost is given
 * to nova-compute, and both would serve it.
 *
 * Bus thread only, but for the writing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "amqp/connection.h"
#include "amqp/content.h"
#include "amqp/replies.h"
#include "amqp/rpc_request.h"

struct intake;

/* All is borrowed. */
struct intake_setup {
    struct connection *connection; /* on whose SERVER_CHANNEL requests come */
    struct replies *replies;
    int wake_fd; /* the bus thread's eventfd */
    const struct rpc_server_ops *ops;
    void *arg; /* of `ops` */

    /* Gives a request back that cannot be written down. Takes `request`. NULL: there is nobody to
     * give it to, it is kept and written down later. */
    void (*pass_on)(void *pass_on_arg, const struct amqp_content *content,
                    struct rpc_request *request);
    void *pass_on_arg;
};

/* NULL without memory. */
struct intake *intake_new(const struct intake_setup *setup);

/* Waits for what is being written down; it is withdrawn. NULL-safe. */
void intake_free(struct intake *intake);

/* Of SERVER_CHANNEL, from basic.qos: what is asked again behind an ack. */
void intake_set_prefetch(struct intake *intake, uint16_t count);

/* It is under way, or was served lately: a message that has this _unique_id is a copy of it. */
bool intake_knows(const struct intake *intake, const char *unique_id);

/* Some are not served yet. */
bool intake_has_takings(const struct intake *intake);

/* A request that was dealt with in another way: its copies are known. */
void intake_remember(struct intake *intake, const char *unique_id);

/* A request that is handed back: whoever is given it next serves it, also when that is us. */
void intake_forget(struct intake *intake, const char *unique_id);

/* Takes `request`, which came as `content` and was accepted; gives it back when it cannot, or drops
 * the connection, when there is nobody else. */
void intake_add(struct intake *intake, const struct amqp_content *content,
                struct rpc_request *request);

/* Acks what has been written down, has the rest written down again when it is time; gives a
 * connection up that does not answer. */
void intake_run(struct intake *intake, uint64_t now_ms);
uint64_t intake_next_ms(const struct intake *intake);

/* basic.qos-ok: the first ack that waits for it has arrived. */
void intake_answered(struct intake *intake);

/* A later question on the channel was answered: every ack has arrived. */
void intake_all_answered(struct intake *intake);

/* What was not acked goes back to the queue. While the connection is up. */
void intake_requeue(struct intake *intake);

/*
 * The channel is gone: what was not acked is given out again, of the rest nobody knows. True when
 * we go on with some of that.
 */
bool intake_lost(struct intake *intake);
