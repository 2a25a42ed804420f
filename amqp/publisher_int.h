/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What publisher.c (the broker's side: the connection, confirms) and publisher_send.c (what waits:
 * sent when it can be, put off, given up) share. The second knows nothing of the first.
 * Publications are borrowed until finished, each is on one of the two lists. Bus thread only.
 */
#pragma once

#include <stdlib.h>

#include "amqp/publisher.h"

TAILQ_HEAD(publication_list, publication);

struct publisher {
    struct connection *connection;
    const struct rabbit_options *options;
    struct publication_list queued;
    struct publication_list sent; /* by delivery tag */
    uint64_t last_delivery_tag;
    struct known_target *known; /* made sure of on the present connection */
};

/* From its list, with its body freed: it is the owner's again. */
static inline void take_off_list(struct publisher *publisher, struct publication *publication)
{
    if (publication->phase == PUBLICATION_QUEUED)
        TAILQ_REMOVE(&publisher->queued, publication, link);
    else if (publication->phase == PUBLICATION_SENT)
        TAILQ_REMOVE(&publisher->sent, publication, link);
    publication->phase = PUBLICATION_IDLE;
    free(publication->body);
    publication->body = NULL;
}

/* The same, and tells the owner, who may submit it anew at once. `error` is borrowed. */
static inline void finish_publication(struct publisher *publisher, struct publication *publication,
                                      enum publication_outcome outcome, const struct error *error)
{
    take_off_list(publisher, publication);
    publication->finished(publication, outcome, error);
}
