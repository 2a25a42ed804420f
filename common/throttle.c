/* SPDX-License-Identifier: Apache-2.0 */
/* See throttle.h. */
#include "common/throttle.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"

struct throttle {
    pthread_mutex_t lock; /* guards all below */
    uint64_t bytes_per_s; /* 0 = no limit */
    uint64_t free_ms;     /* from when on the next may pass ... */
    uint64_t owed_bytes;  /* ... which is rounded down by so much */
};

int throttle_new(uint64_t bytes_per_s, struct throttle **ret_throttle, struct error *err)
{
    struct throttle *throttle = calloc(1, sizeof(*throttle));
    if (!throttle)
        return error_nomem(err);
    throttle->bytes_per_s = bytes_per_s;
    (void)pthread_mutex_init(&throttle->lock, NULL);
    *ret_throttle = throttle;
    return 0;
}

void throttle_free(struct throttle *throttle)
{
    if (throttle)
        (void)pthread_mutex_destroy(&throttle->lock);
    free(throttle);
}

void throttle_set(struct throttle *throttle, uint64_t bytes_per_s)
{
    LOCK_SCOPE(&throttle->lock);
    throttle->bytes_per_s = bytes_per_s;
    throttle->owed_bytes = 0;
    throttle->free_ms = 0;
}

uint64_t throttle_rate(struct throttle *throttle)
{
    LOCK_SCOPE(&throttle->lock);
    return throttle->bytes_per_s;
}

/* When these bytes may pass; those that come later wait for them. */
static uint64_t reserve_bytes(struct throttle *throttle, uint64_t bytes)
{
    LOCK_SCOPE(&throttle->lock);
    uint64_t now_ms = clock_now_ms();
    if (throttle->bytes_per_s == 0)
        return now_ms;
    if (throttle->free_ms < now_ms)
        throttle->free_ms = now_ms;
    uint64_t begin_ms = throttle->free_ms;
    throttle->owed_bytes += bytes;
    uint64_t takes_ms = throttle->owed_bytes * 1000 / throttle->bytes_per_s;
    throttle->owed_bytes -= takes_ms * throttle->bytes_per_s / 1000;
    throttle->free_ms += takes_ms;
    return begin_ms;
}

int throttle_take(struct throttle *throttle, uint64_t bytes, struct error *err)
{
    if (!throttle)
        return 0;
    uint64_t begin_ms = reserve_bytes(throttle, bytes);
    for (;;) {
        struct pollfd cancelled = {.fd = cancel_fd(), .events = POLLIN};
        uint64_t now_ms = clock_now_ms();
        if (cancel_check(err) < 0)
            return -ECANCELED;
        if (now_ms >= begin_ms)
            return 0;
        (void)poll(&cancelled, 1, (int)earlier_ms(begin_ms - now_ms, INT_MAX));
    }
}
