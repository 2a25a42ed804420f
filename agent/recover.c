/* SPDX-License-Identifier: Apache-2.0 */
/* See recover.h. */
#include "agent/recover.h"

#include <errno.h>
#include <pthread.h>

#include "agent/agent.h"
#include "agent/freezer.h"
#include "agent/journal.h"
#include "agent/shutdown.h"
#include "amqp/bus.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/retry.h"

#define LOOK_MS 250

struct recovery {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    unsigned guests; /* not yet as they were */
    bool bus_is_started;
    /* constant */
    unsigned redelivery_ms;
    recovery_start start;
};

int recovery_new(unsigned redelivery_ms, recovery_start start, struct recovery **ret_recovery,
                 struct error *err)
{
    struct recovery *recovery = calloc(1, sizeof(*recovery));
    if (!recovery)
        return error_nomem(err);
    recovery->redelivery_ms = redelivery_ms;
    recovery->start = start;
    (void)pthread_mutex_init(&recovery->lock, NULL);
    clock_cond_init(&recovery->changed);
    *ret_recovery = recovery;
    return 0;
}

void recovery_free(struct recovery *recovery)
{
    if (!recovery)
        return;
    (void)pthread_cond_destroy(&recovery->changed);
    (void)pthread_mutex_destroy(&recovery->lock);
    free(recovery);
}

/* A request that an agent has left without a guest in its hands. */
struct left {
    struct rpc_request *request;
    struct journal_record *record;
    struct left *next;
};

struct visit {
    struct recovery *recovery;
    struct agent *agent;
    unsigned requests;
    struct left *first, **end;
};

static void count_guests(struct recovery *recovery, int guests)
{
    LOCK_SCOPE(&recovery->lock);
    recovery->guests += (unsigned)guests;
    (void)pthread_cond_broadcast(&recovery->changed);
}

void recovery_take(struct recovery *recovery, struct agent *agent, struct rpc_request *request,
                   struct journal_record *record)
{
    count_guests(recovery, 1);
    if (!recovery->start(agent, request, record))
        count_guests(recovery, -1);
}

/*
 * A guest in hands comes before all others of its instance, which may have begun before: they were
 * done with the guest, and have to find it as it was.
 */
static void visit_record(void *arg, struct rpc_request *request, struct journal_record *record)
{
    struct visit *visit = arg;
    struct left *left = journal_last(record, "driver") ? NULL : calloc(1, sizeof(*left));
    visit->requests++;
    log_debug("the journal has %s of %s%s", request->method, request->context->request_id,
              left ? "" : ", with a guest to be restored");
    if (!left) {
        recovery_take(visit->recovery, visit->agent, request, record);
        return;
    }
    *left = (struct left){.request = request, .record = record};
    *visit->end = left;
    visit->end = &left->next;
}

static void recover_others(const struct visit *visit)
{
    for (struct left *left = visit->first, *next; left; left = next) {
        next = left->next;
        recovery_take(visit->recovery, visit->agent, left->request, left->record);
        free(left);
    }
}

static void await_guests(struct recovery *recovery, unsigned timeout_ms)
{
    const struct timespec deadline = clock_deadline(timeout_ms);
    LOCK_SCOPE(&recovery->lock);
    while (recovery->guests > 0)
        if (pthread_cond_timedwait(&recovery->changed, &recovery->lock, &deadline) == ETIMEDOUT)
            break;
    if (recovery->guests > 0)
        log_warning("%u guests not restored yet, will retry; taking new requests meanwhile",
                    recovery->guests);
}

int recovery_run(struct recovery *recovery, struct agent *agent, unsigned timeout_ms,
                 struct error *err)
{
    struct visit visit = {.recovery = recovery, .agent = agent, .end = &visit.first};
    int r = freezer_take_over(agent->freezer, err);
    if (r == 0)
        r = journal_read_all(agent->journal, visit_record, &visit, err);
    recover_others(&visit);
    if (r < 0)
        return r;
    if (visit.requests > 0)
        log_warning("resuming %u requests that an earlier agent has left", visit.requests);
    await_guests(recovery, timeout_ms);
    return 0;
}

void recovery_bus_is_started(struct recovery *recovery)
{
    log_debug("what was recovered may ask conductor from now on");
    LOCK_SCOPE(&recovery->lock);
    recovery->bus_is_started = true;
    (void)pthread_cond_broadcast(&recovery->changed);
}

bool recovery_bus_has_started(struct recovery *recovery)
{
    LOCK_SCOPE(&recovery->lock);
    return recovery->bus_is_started;
}

void recovery_guest_is_back(struct recovery *recovery)
{
    count_guests(recovery, -1);
    LOCK_SCOPE(&recovery->lock);
    while (!recovery->bus_is_started)
        (void)pthread_cond_wait(&recovery->changed, &recovery->lock);
}

static bool pause_unless_cancelled(uint64_t pause_ms)
{
    struct error ignored = ERROR_INIT;
    return cancel_await(-1, clock_now_ms() + pause_ms, &ignored) != -ECANCELED;
}

bool recovery_await_redelivery(const struct agent *agent)
{
    const uint64_t wait_ms = retry_jitter_ms(2 * (uint64_t)agent->recovery->redelivery_ms);
    uint64_t since_ms = clock_now_ms();
    bool told = false;
    while (!shutdown_has_begun(agent->shutdown)) {
        uint64_t now_ms = clock_now_ms();
        if (!bus_queue_is_given_out(agent->bus)) {
            if (!told)
                log_warning("the request waits until its queue is consumed again: nova-compute "
                            "may be given it, too");
            told = true;
            since_ms = now_ms;
        } else if (now_ms - since_ms >= wait_ms) {
            return true;
        }
        if (!pause_unless_cancelled(earlier_ms(LOOK_MS, since_ms + wait_ms - now_ms)))
            return false;
    }
    return false;
}
