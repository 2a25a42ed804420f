/* SPDX-License-Identifier: Apache-2.0 */
/* See retry.h. */
#include "common/retry.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/cancel.h"
#include "common/clock.h"
#include "common/log.h"

struct retry retry_begin(const struct retry_policy *policy)
{
    return (struct retry){
        .policy = *policy,
        .attempt = 1,
        .deadline_ms = clock_now_ms() + policy->total_ms,
    };
}

uint64_t retry_jitter_ms(uint64_t delay_ms)
{
    uint32_t random = 0;
    (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
    uint64_t half = delay_ms / 2;
    return delay_ms - half + (half * random >> 32);
}

static uint64_t exponential_ms(const struct retry *retry)
{
    uint64_t delay_ms = retry->policy.base_delay_ms;
    for (unsigned i = 1; i < retry->attempt && delay_ms < retry->policy.max_delay_ms; i++)
        delay_ms *= 2;
    return delay_ms < retry->policy.max_delay_ms ? delay_ms : retry->policy.max_delay_ms;
}

/* False when the work was cancelled before or meanwhile. */
static bool pause_ms(uint64_t delay_ms)
{
    const uint64_t end_ms = clock_now_ms() + delay_ms;
    for (;;) {
        struct pollfd cancelled = {.fd = cancel_fd(), .events = POLLIN};
        uint64_t left_ms = clock_left_ms(end_ms);
        if (poll(&cancelled, 1, (int)earlier_ms(left_ms, INT_MAX)) > 0)
            return false;
        if (left_ms == 0)
            return true;
    }
}

bool retry_wait(struct retry *retry, unsigned min_delay_ms)
{
    if (retry->attempt >= retry->policy.attempts)
        return false;
    uint64_t delay_ms = retry_jitter_ms(exponential_ms(retry));
    if (delay_ms < min_delay_ms)
        delay_ms = min_delay_ms;
    if (clock_now_ms() + delay_ms >= retry->deadline_ms)
        return false;
    log_debug("will try again in %llu ms (attempt %u)", (unsigned long long)delay_ms,
              retry->attempt + 1);
    if (!pause_ms(delay_ms))
        return false;
    retry->attempt++;
    return true;
}

void retry_allow_another(struct retry *retry)
{
    retry->policy.attempts++;
}

unsigned retry_remaining_ms(const struct retry *retry)
{
    uint64_t now_ms = clock_now_ms();
    return now_ms < retry->deadline_ms ? (unsigned)(retry->deadline_ms - now_ms) : 1;
}
