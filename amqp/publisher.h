/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishing with confirms. The exchange (for notifications also a queue) is made sure of before
 * the first message to it on a connection; nothing is sent while the broker blocks us.
 * Bus thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "amqp/connection.h"

struct publisher;

enum publication_outcome {
    PUBLICATION_CONFIRMED,  /* the broker has it */
    PUBLICATION_UNROUTABLE, /* mandatory, and there is no such queue */
    PUBLICATION_UNCERTAIN,  /* sent, but the connection was lost before the confirm */
    PUBLICATION_FAILED,     /* error says why; the broker never took it, or the deadline passed */
};

/* One message on its way. Embedded in what waits for it; must live until finished or withdrawn. */
struct publication {
    /* The owner's. */
    const char *exchange;    /* "" = default exchange */
    const char *routing_key; /* at most 255 bytes */
    bool mandatory;
    bool with_queue;        /* a queue named like the routing key must exist and be bound */
    bool expires;           /* the message expires in the broker at the deadline */
    uint64_t deadline_ms;   /* FAILED with ETIMEDOUT then */
    uint64_t not_before_ms; /* 0 = at once */
    struct cancel *cancel;  /* NULL = none. FAILED with its reason a second after it. Borrowed */

    /* Makes the body, anew for every attempt: a sent _unique_id must not be sent again. */
    int (*pack)(struct publication *publication, char **ret_body, size_t *ret_length,
                struct error *err);

    /* Called once; the publication is the owner's again and may be submitted anew. */
    void (*finished)(struct publication *publication, enum publication_outcome outcome,
                     const struct error *error);

    /* The publisher's. */
    TAILQ_ENTRY(publication) link;
    enum { PUBLICATION_IDLE, PUBLICATION_QUEUED, PUBLICATION_SENT } phase;
    char *body;
    size_t length;
    uint64_t delivery_tag;
    bool returned;
    uint64_t cancelled_ms; /* since when it is seen to be; 0 = not */
    struct error refusal;  /* why it still waits: its queue is on a node that is away */
    uint64_t refused_ms;   /* since when */
};

/* All is borrowed, as in struct connection_setup. Returns owned, NULL when out of memory. */
struct publisher *publisher_new(const struct transport_url *url,
                                const struct rabbit_options *options, const char *purpose,
                                int wake_fd, const struct connection *speaker);

/* Finishes what is left as FAILED (ECANCELED) and closes the connection. NULL-safe. */
void publisher_free(struct publisher *publisher);

/* Borrows `publication` until finished() is called, later, or it is withdrawn. */
void publisher_submit(struct publisher *publisher, struct publication *publication);

/* Forgets about it, in whatever phase; finished() is not called. */
void publisher_withdraw(struct publisher *publisher, struct publication *publication);

/* Sends what can be sent and gives up what is late. */
void publisher_run(struct publisher *publisher, uint64_t now_ms);

/* When publisher_run() must be called even if nothing comes. */
uint64_t publisher_next_ms(const struct publisher *publisher);

struct connection *publisher_connection(struct publisher *publisher);
