/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that other threads hand to the bus thread and wait for: their only way into what is said to
 * be the bus thread's. The queue is open from bus_start() until the bus stops; it outlives the bus
 * thread, for those who still wait. Functions may be called in any thread unless they say so.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "common/error.h"

struct bus_work_queue;

/* A piece of work, on the stack of the thread that waits for it. */
struct bus_work {
    /* On the bus thread. Sees to it that bus_work_done() is called, now or later. */
    void (*start)(struct bus_work *work);

    /* Of bus_work_run(). */
    STAILQ_ENTRY(bus_work) link;
    struct bus_work_queue *queue;
    bool done;
    int result; /* 0 or -errno */
    struct error error;
};

struct bus_work_queue {
    int wake_fd; /* the bus thread's eventfd: work was queued, a helper of it has come to an end */

    pthread_mutex_t
        lock; /* guards all below, and `done` of every work; nothing is called with it */
    pthread_cond_t changed;
    STAILQ_HEAD(, bus_work) works;
    bool is_open;
    bool is_stopping;
    unsigned n_callers; /* threads between bus_work_enter() and bus_work_leave() */
};

/* Returns 0 or -errno, and then nothing needs to be destroyed. */
int bus_work_init(struct bus_work_queue *queue, struct error *err);

/* When nobody is left in it. */
void bus_work_destroy(struct bus_work_queue *queue);

/*
 * Starts the bus thread, which main() is, with the queue open: nothing it begins is refused.
 * Returns 0 or an errno; the queue stays closed then.
 */
int bus_work_open(struct bus_work_queue *queue, pthread_t *ret_thread, void *(*main)(void *arg),
                  void *arg);

/* From now on work is refused; the bus thread sees it by bus_work_is_stopping(). Returns whether
 * the queue was opened. */
bool bus_work_stop(struct bus_work_queue *queue);
bool bus_work_is_stopping(struct bus_work_queue *queue);

/* Between the two, bus_work_await_callers() waits: for the public functions of the bus. */
struct bus_work_queue *bus_work_enter(struct bus_work_queue *queue);
void bus_work_leave(struct bus_work_queue **queue);
void bus_work_await_callers(struct bus_work_queue *queue);
#define BUS_WORK_SCOPE(queue)                                                                      \
    __attribute__((unused, cleanup(bus_work_leave))) struct bus_work_queue *scope_queue_ =         \
        bus_work_enter(queue)

/*
 * Has `work` done by the bus thread and waits for it. ENOTCONN before bus_work_open(), ECANCELED
 * after bus_work_stop(): it was not started then. Not from the bus thread.
 */
int bus_work_run(struct bus_work_queue *queue, struct bus_work *work, struct error *err);

/* Bus thread: starts what was queued. */
void bus_work_start_queued(struct bus_work_queue *queue);

/* Bus thread: lets the waiting thread go on; `work` is not to be touched any more. `error` is
 * copied when `result` is negative. */
void bus_work_done(struct bus_work *work, int result, const struct error *error);
