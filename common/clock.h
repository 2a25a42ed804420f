/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks that deadlines are counted on, and times as one number. Any thread. */
#pragma once

#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>

#define NEVER_MS UINT64_MAX
#define NS_PER_S INT64_C(1000000000)

/* The nanoseconds of a time since the zero of its clock. One that is more than 292 years from there
 * is the farthest: files have such times. */
static inline int64_t clock_ns(const struct timespec *time)
{
    if (time->tv_sec >= INT64_MAX / NS_PER_S)
        return INT64_MAX;
    if (time->tv_sec <= INT64_MIN / NS_PER_S)
        return INT64_MIN;
    return time->tv_sec * NS_PER_S + time->tv_nsec;
}

/* It never jumps and goes on while the host is suspended. */
static inline uint64_t clock_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)clock_ns(&now) / 1000000;
}

/* An option in seconds, whatever it is: more than 24 days are as good as for ever. */
static inline unsigned seconds_ms(unsigned seconds)
{
    return seconds < INT_MAX / 1000 ? seconds * 1000 : INT_MAX;
}

static inline uint64_t earlier_ms(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What is left until then, by clock_now_ms(): 0 when it is over. */
static inline uint64_t clock_left_ms(uint64_t end_ms)
{
    const uint64_t now_ms = clock_now_ms();
    return now_ms < end_ms ? end_ms - now_ms : 0;
}

/* A condition that is waited for up to a clock_deadline(). */
static inline void clock_cond_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

/* For pthread_cond_timedwait() on such a condition. */
static inline struct timespec clock_deadline(unsigned timeout_ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (at.tv_nsec >= NS_PER_S) {
        at.tv_sec++;
        at.tv_nsec -= NS_PER_S;
    }
    return at;
}
