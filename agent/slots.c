/* SPDX-License-Identifier: Apache-2.0 */
/* See slots.h. */
#include "agent/slots.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/eventfd.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

struct waiter {
    int granted_fd; /* eventfd: a slot was handed over */
    bool granted;
    struct waiter *next;
};

struct slots {
    pthread_mutex_t lock; /* guards all below */
    unsigned limit; /* 0 = none; what is taken is counted all the same: there may be one later */
    unsigned taken;
    struct waiter *first; /* in the order of arrival */
};

int slots_new(unsigned limit, struct slots **ret_slots, struct error *err)
{
    struct slots *slots = calloc(1, sizeof(*slots));
    if (!slots)
        return error_nomem(err);
    slots->limit = limit;
    (void)pthread_mutex_init(&slots->lock, NULL);
    *ret_slots = slots;
    return 0;
}

/* With the lock. */
static bool is_free(const struct slots *slots)
{
    return slots->limit == 0 || slots->taken < slots->limit;
}

/* With the lock: free slots go to those who wait. */
static void hand_over(struct slots *slots)
{
    struct waiter *waiter;
    while ((waiter = slots->first) && is_free(slots)) {
        slots->first = waiter->next;
        slots->taken++;
        waiter->granted = true;
        (void)eventfd_write(waiter->granted_fd, 1);
    }
}

/* True when a slot was free; else the waiter stands in the line. */
static bool take_or_queue(struct slots *slots, struct waiter *waiter)
{
    LOCK_SCOPE(&slots->lock);
    if (is_free(slots)) {
        slots->taken++;
        return true;
    }
    struct waiter **link = &slots->first;
    while (*link)
        link = &(*link)->next;
    *link = waiter;
    return false;
}

/* A slot that was handed over meanwhile is kept: false. */
static bool leave_queue(struct slots *slots, struct waiter *waiter)
{
    LOCK_SCOPE(&slots->lock);
    if (waiter->granted)
        return false;
    struct waiter **link = &slots->first;
    while (*link != waiter)
        link = &(*link)->next;
    *link = waiter->next;
    return true;
}

static int wait_for_slot(struct slots *slots, struct waiter *waiter, struct error *err)
{
    struct error failure = ERROR_INIT;
    int r = cancel_await(waiter->granted_fd, NEVER_MS, &failure);
    /* Under the lock, also after a hand-over: whoever made it is done with the waiter then. */
    if (!leave_queue(slots, waiter))
        return 0;
    *err = failure;
    return r;
}

int slots_acquire(struct slots *slots, struct error *err)
{
    cleanup_close int fd = eventfd(0, EFD_CLOEXEC);
    struct waiter waiter = {.granted_fd = fd};
    if (fd < 0)
        return error_errno(err, errno, "cannot wait for a slot");
    if (take_or_queue(slots, &waiter))
        return 0;
    log_debug("no slot is free, waiting for one");
    int r = wait_for_slot(slots, &waiter, err);
    log_debug(r == 0 ? "a slot is free" : "no longer waiting for a slot");
    return r;
}

void slots_release(struct slots *slots)
{
    LOCK_SCOPE(&slots->lock);
    slots->taken--;
    hand_over(slots);
}

struct slots_usage slots_usage(struct slots *slots)
{
    LOCK_SCOPE(&slots->lock);
    struct slots_usage usage = {.limit = slots->limit, .taken = slots->taken};
    for (const struct waiter *waiter = slots->first; waiter; waiter = waiter->next)
        usage.waiting++;
    return usage;
}

void slots_set_limit(struct slots *slots, unsigned limit)
{
    LOCK_SCOPE(&slots->lock);
    slots->limit = limit;
    hand_over(slots);
}

void slots_free(struct slots *slots)
{
    if (!slots)
        return;
    (void)pthread_mutex_destroy(&slots->lock);
    free(slots);
}
