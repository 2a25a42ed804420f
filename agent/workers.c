/* SPDX-License-Identifier: Apache-2.0 */
/* See workers.h. */
#include "agent/workers.h"

#include <errno.h>
#include <signal.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

/* Enough to walk JSON as deep as jansson reads it (2048); only what is used costs memory. */
#define STACK_BYTES (4 * 1024 * 1024)

struct workers {
    pthread_mutex_t lock; /* guards `running` */
    pthread_cond_t ended;
    unsigned running;
    unsigned limit;
};

struct job {
    struct workers *workers;
    void (*run)(void *arg);
    void *arg;
};

int workers_new(unsigned limit, struct workers **ret_workers, struct error *err)
{
    struct workers *workers = calloc(1, sizeof(*workers));
    if (!workers)
        return error_nomem(err);
    workers->limit = limit;
    (void)pthread_mutex_init(&workers->lock, NULL);
    clock_cond_init(&workers->ended);
    *ret_workers = workers;
    return 0;
}

bool workers_full(struct workers *workers, unsigned more)
{
    LOCK_SCOPE(&workers->lock);
    return workers->running + more >= workers->limit;
}

unsigned workers_running(struct workers *workers)
{
    LOCK_SCOPE(&workers->lock);
    return workers->running;
}

static void leave_workers(struct workers *workers)
{
    LOCK_SCOPE(&workers->lock);
    workers->running--;
    (void)pthread_cond_broadcast(&workers->ended);
}

static void *run_job(void *arg)
{
    struct job job = *(struct job *)arg;
    free(arg);
    job.run(job.arg);
    log_debug("a worker ends, %u are running", workers_running(job.workers));
    leave_workers(job.workers);
    return NULL;
}

static int enter_workers(struct workers *workers, struct error *err)
{
    LOCK_SCOPE(&workers->lock);
    if (workers->running >= workers->limit)
        return error_set(err, EAGAIN, EXC_INTERNAL_ERROR, "%u requests are being served already",
                         workers->running);
    workers->running++;
    return 0;
}

static int start_thread(struct job *job)
{
    pthread_attr_t attr;
    pthread_t thread;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    int r = pthread_create(&thread, &attr, run_job, job);
    (void)pthread_attr_destroy(&attr);
    return r;
}

int workers_start(struct workers *workers, void (*run)(void *arg), void *arg, struct error *err)
{
    int r = enter_workers(workers, err);
    if (r < 0)
        return r;
    struct job *job = malloc(sizeof(*job));
    if (!job) {
        leave_workers(workers);
        return error_nomem(err);
    }
    *job = (struct job){workers, run, arg};
    r = start_thread(job);
    if (r != 0) {
        free(job);
        leave_workers(workers);
        return error_errno(err, r, "cannot start a worker thread");
    }
    return 0;
}

unsigned workers_wait(struct workers *workers, unsigned timeout_ms)
{
    const struct timespec deadline = clock_deadline(timeout_ms);
    LOCK_SCOPE(&workers->lock);
    int r = 0;
    while (workers->running > 0 && r == 0)
        r = timeout_ms == 0 ? pthread_cond_wait(&workers->ended, &workers->lock)
                            : pthread_cond_timedwait(&workers->ended, &workers->lock, &deadline);
    return workers->running;
}

void workers_free(struct workers *workers)
{
    if (!workers)
        return;
    (void)pthread_cond_destroy(&workers->ended);
    (void)pthread_mutex_destroy(&workers->lock);
    free(workers);
}
