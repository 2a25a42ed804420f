/* SPDX-License-Identifier: Apache-2.0 */
/* See failover.h. */
#include "amqp/failover.h"

#include <string.h>
#include <sys/random.h>

#include "common/retry.h"

static void shuffle_hosts(struct failover *failover)
{
    for (unsigned i = failover->url->n_hosts; i > 1; i--) {
        unsigned random = 0;
        (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
        unsigned other = random % i;
        unsigned kept = failover->order[i - 1];
        failover->order[i - 1] = failover->order[other];
        failover->order[other] = kept;
    }
}

void failover_init(struct failover *failover, const struct transport_url *url,
                   const struct rabbit_options *options)
{
    *failover = (struct failover){
        .url = url, .options = options, .pause_s = options->rabbit_retry_interval_s};
    for (unsigned i = 0; i < url->n_hosts; i++)
        failover->order[i] = i;
    shuffle_hosts(failover);
}

const struct transport_host *failover_host(const struct failover *failover)
{
    return &failover->url->hosts[failover->order[failover->position]];
}

static void next_position(struct failover *failover)
{
    failover->position = (failover->position + 1) % failover->url->n_hosts;
}

void failover_failed(struct failover *failover, uint64_t now_ms)
{
    const struct rabbit_options *options = failover->options;
    failover->retry_ms = now_ms;
    next_position(failover);
    if (failover->position != 0)
        return;
    unsigned pause_s = failover->pause_s > 0 ? failover->pause_s : 1;
    failover->retry_ms = now_ms + retry_jitter_ms((uint64_t)pause_s * 1000);
    failover->pause_s = pause_s + options->rabbit_retry_backoff_s;
    if (failover->pause_s > options->rabbit_interval_max_s)
        failover->pause_s = options->rabbit_interval_max_s;
    const char *strategy = options->kombu_failover_strategy;
    if (strategy && strcmp(strategy, "shuffle") == 0)
        shuffle_hosts(failover);
}

void failover_lost(struct failover *failover, uint64_t up_since_ms, uint64_t now_ms)
{
    uint64_t first_pause_ms = (uint64_t)failover->options->rabbit_retry_interval_s * 1000;
    if (now_ms - up_since_ms <= first_pause_ms) {
        failover_failed(failover, now_ms);
        return;
    }
    next_position(failover);
    failover->pause_s = failover->options->rabbit_retry_interval_s;
    failover->retry_ms = now_ms;
}
