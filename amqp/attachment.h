/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether we consume compute.<host>, beginning and end. Bus thread only, but for the flags.
 *
 * SHARED: a consumer of higher priority gets every request of the queue while it is there. What it
 * does not serve it puts back: cancel its consumer, nack with requeue, look at the queue, consume
 * again when it is empty, all in that order on one channel: by then nova-compute has the request.
 * That needs nova-compute's consumer, hence the rule: consume only while the queue has another
 * consumer that takes what is there; see put_back.h.
 *
 * EXCLUSIVE: the queues are ours.
 */
#pragma once

#include <stdatomic.h>

#include "amqp/absence.h"
#include "amqp/bus_settings.h"
#include "amqp/connection.h"
#include "amqp/consumer.h"
#include "amqp/content.h"
#include "amqp/exclusive_queues.h"
#include "amqp/host_claim.h"
#include "amqp/put_back.h"
#include "amqp/topology.h"

/* Any thread. The bus's, which outlive the bus thread. */
struct attachment_flags {
    atomic_bool attached;
    atomic_bool given_out; /* the queue, in SHARED: nova-compute has it all, nothing waits in it */
    atomic_uint aside;     /* bits of enum bus_aside: requests are not for us now */
};

enum attachment_phase {
    ATTACHMENT_WAITING, /* for nova-compute, the claim, the queues or the connection */
    ATTACHMENT_GIVING,  /* for nova-compute to take what was just put back */
    ATTACHMENT_DONE,    /* consuming */
    ATTACHMENT_OVER,    /* for good */
};

struct attachment {
    const struct bus_settings *settings;
    struct connection *connection;
    struct attachment_flags *flags;
    bool shared;
    char queue[256]; /* compute.<host> */

    enum attachment_phase phase;
    uint64_t check_ms; /* when to look for nova-compute's consumer, or to try again */
    bool is_in_doubt;  /* the broker may not have an ack: a connection or a queue's node was lost */
    struct consumer consumer;
    struct host_claim claim;
    struct absence absence;            /* the queue's, and in SHARED nova-compute's */
    struct exclusive_queues exclusive; /* EXCLUSIVE */

    /* SHARED */
    struct put_back put_back;
    uint64_t put_back_ms; /* since when no requests are taken because of it; 0: they are */
};

/* Borrows all for its lifetime, in which it must not be moved. */
void attachment_init(struct attachment *attachment, const struct bus_settings *settings,
                     struct connection *connection, struct attachment_flags *flags);

/* SERVER_CHANNEL is open. */
int attachment_up(struct attachment *attachment, struct error *err);

/* The connection is gone. `in_doubt`: we go on with requests the broker may give out again. */
void attachment_down(struct attachment *attachment, bool in_doubt);

/* Puts back what is held; attaches and detaches when it is time. Not while over. */
void attachment_run(struct attachment *attachment, uint64_t now_ms);
uint64_t attachment_next_ms(const struct attachment *attachment);

/*
 * Who else consumes our queue, and what waits there: nobody and nothing when there is no such
 * queue. -EHOSTDOWN: it cannot be had now. While attached a failure costs the connection.
 */
int attachment_look(struct attachment *attachment, struct queue_state *ret_others,
                    struct error *err);

/* A request that is not served: it goes back to the queue, at the latest with the next run. */
void attachment_hold(struct attachment *attachment, const struct amqp_content *content);

/*
 * The broker cancelled the consumer `tag`. `has_takings`: there are requests whose ack is not
 * confirmed. Often a queue's node has gone: the channel answers all the same what is asked behind
 * an ack that went nowhere.
 */
void attachment_cancelled(struct attachment *attachment, amqp_bytes_t tag, bool has_takings);

/* True while somebody wants us to leave requests alone. */
bool attachment_is_aside(const struct attachment *attachment);

/* Nobody does any more: attaches again, in SHARED with the next run. */
void attachment_resume(struct attachment *attachment);

/*
 * Stop consuming, until attachment_resume() or for good. True when the broker has answered: no more
 * requests come, and every ack before has arrived. attachment_requeue_held() is to follow.
 */
bool attachment_pause(struct attachment *attachment);
bool attachment_end(struct attachment *attachment);
void attachment_requeue_held(struct attachment *attachment);

/* EXCLUSIVE, after attachment_end(): leaves the queues that other servers share. */
void attachment_leave_shared_queues(struct attachment *attachment);
