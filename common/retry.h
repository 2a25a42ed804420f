/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded repetition of a request that may be repeated: exponential delays with jitter, a number of
 * attempts, and a deadline over all of them.
 *
 *     struct retry retry = retry_begin(&policy);
 *     do
 *         r = attempt(retry_remaining_ms(&retry));
 *     while (is_transient(r) && retry_wait(&retry, 0));
 *
 * struct retry is plain data, used by one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct retry_policy {
    unsigned attempts;      /* in all; 0 counts as 1 */
    unsigned base_delay_ms; /* before the second attempt, doubled for each later one */
    unsigned max_delay_ms;
    unsigned total_ms; /* no attempt begins later than this after retry_begin() */
};

struct retry {
    struct retry_policy policy;
    unsigned attempt; /* the current one, from 1 */
    uint64_t deadline_ms;
};

struct retry retry_begin(const struct retry_policy *policy);

/*
 * Sleeps before the next attempt: between half and all of the exponential delay, at least
 * `min_delay_ms` (what a Retry-After header asked for). False, without sleeping, when the attempts
 * are used up or the deadline would be passed; also when the thread's work is cancelled, which ends
 * the sleep: cancel_check() tells why.
 */
bool retry_wait(struct retry *retry, unsigned min_delay_ms);

/* The cause of the failure has been mended: one more attempt than the policy has. */
void retry_allow_another(struct retry *retry);

/* Time left until the deadline, at least 1. */
unsigned retry_remaining_ms(const struct retry *retry);

/*
 * Between half and all of `delay_ms`: who has failed, or was started, together must not come back
 * together. Any thread.
 */
uint64_t retry_jitter_ms(uint64_t delay_ms);
