/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which host of a transport_url is tried next, and when. The order and the pauses are kombu's:
 * hosts shuffled at the start, round-robin (or shuffled again), a pause only after a whole round,
 * growing from rabbit_retry_interval by rabbit_retry_backoff up to rabbit_interval_max. Up to half
 * of a pause is left out, by chance: all hosts of a cell lose their broker at the same instant.
 * Times are clock_now_ms(). Bus thread only.
 */
#pragma once

#include <stdint.h>

#include "common/rabbit_options.h"
#include "common/transport_url.h"

struct failover {
    const struct transport_url *url;
    const struct rabbit_options *options;
    unsigned order[TRANSPORT_URL_MAX_HOSTS];
    unsigned position; /* in `order`; 0 again = a round is complete */
    unsigned pause_s;  /* after the present round */
    uint64_t retry_ms; /* when to try failover_host() */
};

/* Borrows both for its lifetime. The first attempt is due at once. */
void failover_init(struct failover *failover, const struct transport_url *url,
                   const struct rabbit_options *options);

/* The host whose turn it is. Borrowed from the URL. */
const struct transport_host *failover_host(const struct failover *failover);

/* An attempt failed: the next host; after a whole round also a pause. */
void failover_failed(struct failover *failover, uint64_t now_ms);

/*
 * A connection that was up since `up_since_ms` is lost. One that lived is retried at once, at the
 * next host; one that died young counts as a failed attempt.
 */
void failover_lost(struct failover *failover, uint64_t up_since_ms, uint64_t now_ms);
