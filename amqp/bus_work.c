/* SPDX-License-Identifier: Apache-2.0 */
/* See bus_work.h. */
#include "amqp/bus_work.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "amqp/bus_thread.h"
#include "amqp/messaging_error.h"
#include "common/cleanup.h"

int bus_work_init(struct bus_work_queue *queue, struct error *err)
{
    *queue = (struct bus_work_queue){.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (queue->wake_fd < 0)
        return error_errno(err, errno, "eventfd");
    (void)pthread_cond_init(&queue->changed, NULL);
    (void)pthread_mutex_init(&queue->lock, NULL);
    STAILQ_INIT(&queue->works);
    return 0;
}

void bus_work_destroy(struct bus_work_queue *queue)
{
    (void)pthread_cond_destroy(&queue->changed);
    (void)pthread_mutex_destroy(&queue->lock);
    (void)close(queue->wake_fd);
}

int bus_work_open(struct bus_work_queue *queue, pthread_t *ret_thread, void *(*main)(void *arg),
                  void *arg)
{
    LOCK_SCOPE(&queue->lock);
    int r = bus_thread_start(ret_thread, main, arg);
    queue->is_open = r == 0;
    return r;
}

bool bus_work_stop(struct bus_work_queue *queue)
{
    LOCK_SCOPE(&queue->lock);
    queue->is_stopping = true;
    bus_thread_wake(queue->wake_fd);
    return queue->is_open;
}

bool bus_work_is_stopping(struct bus_work_queue *queue)
{
    LOCK_SCOPE(&queue->lock);
    return queue->is_stopping;
}

struct bus_work_queue *bus_work_enter(struct bus_work_queue *queue)
{
    LOCK_SCOPE(&queue->lock);
    queue->n_callers++;
    return queue;
}

void bus_work_leave(struct bus_work_queue **queue)
{
    LOCK_SCOPE(&(*queue)->lock);
    (*queue)->n_callers--;
    (void)pthread_cond_broadcast(&(*queue)->changed);
}

void bus_work_await_callers(struct bus_work_queue *queue)
{
    LOCK_SCOPE(&queue->lock);
    while (queue->n_callers > 0)
        (void)pthread_cond_wait(&queue->changed, &queue->lock);
}

/* No deadline here: whoever started the work on the bus thread keeps one. */
int bus_work_run(struct bus_work_queue *queue, struct bus_work *work, struct error *err)
{
    LOCK_SCOPE(&queue->lock);
    if (queue->is_stopping)
        return messaging_error(err, ECANCELED, EXC_MESSAGE_DELIVERY_FAILURE, "the bus is stopping");
    if (!queue->is_open)
        return messaging_error(err, ENOTCONN, EXC_MESSAGE_DELIVERY_FAILURE,
                               "the bus is not started");
    work->queue = queue;
    STAILQ_INSERT_TAIL(&queue->works, work, link);
    bus_thread_wake(queue->wake_fd);
    while (!work->done)
        (void)pthread_cond_wait(&queue->changed, &queue->lock);
    if (work->result < 0)
        *err = work->error;
    return work->result;
}

static struct bus_work *next_work(struct bus_work_queue *queue)
{
    LOCK_SCOPE(&queue->lock);
    struct bus_work *work = STAILQ_FIRST(&queue->works);
    if (work)
        STAILQ_REMOVE_HEAD(&queue->works, link);
    return work;
}

void bus_work_start_queued(struct bus_work_queue *queue)
{
    struct bus_work *work;
    while ((work = next_work(queue)))
        work->start(work);
}

void bus_work_done(struct bus_work *work, int result, const struct error *error)
{
    struct bus_work_queue *queue = work->queue; /* `work` is gone as soon as it is done */
    LOCK_SCOPE(&queue->lock);
    work->result = result;
    if (result < 0)
        work->error = *error;
    work->done = true;
    (void)pthread_cond_broadcast(&queue->changed);
}
