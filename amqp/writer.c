/* SPDX-License-Identifier: Apache-2.0 */
/* See writer.h. */
#include "amqp/writer.h"

#include <pthread.h>
#include <stdlib.h>

#include "amqp/bus_thread.h"
#include "common/cleanup.h"

STAILQ_HEAD(job_queue, writer_job);

struct writer {
    struct writer_ops ops;
    void *arg;
    int wake_fd;
    pthread_t thread; /* bus thread */
    bool has_thread;  /* bus thread */

    pthread_mutex_t lock; /* guards what follows, and place and is_abandoned of each job */
    pthread_cond_t changed;
    struct job_queue to_do, done;
    bool stopping;
};

/* With the lock, which it gives away meanwhile. */
static void without_lock(struct writer *writer, void (*what)(void *arg, struct writer_job *job),
                         struct writer_job *job)
{
    (void)pthread_mutex_unlock(&writer->lock);
    what(writer->arg, job);
    (void)pthread_mutex_lock(&writer->lock);
}

/* With the lock, which it gives away meanwhile. */
static void do_job(struct writer *writer, struct writer_job *job)
{
    if (!job->is_abandoned)
        without_lock(writer, writer->ops.run, job);
    if (job->is_abandoned) { /* by now */
        without_lock(writer, writer->ops.discard, job);
        return;
    }
    job->place = JOB_DONE;
    STAILQ_INSERT_TAIL(&writer->done, job, link);
    bus_thread_wake(writer->wake_fd);
}

static void *writer_main(void *arg)
{
    struct writer *writer = arg;
    LOCK_SCOPE(&writer->lock);
    for (;;) {
        struct writer_job *job;
        while (!(job = STAILQ_FIRST(&writer->to_do)) && !writer->stopping)
            (void)pthread_cond_wait(&writer->changed, &writer->lock);
        if (!job)
            return NULL;
        STAILQ_REMOVE_HEAD(&writer->to_do, link);
        do_job(writer, job);
    }
}

struct writer *writer_new(const struct writer_ops *ops, void *arg, int wake_fd)
{
    struct writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return NULL;
    writer->ops = *ops;
    writer->arg = arg;
    writer->wake_fd = wake_fd;
    STAILQ_INIT(&writer->to_do);
    STAILQ_INIT(&writer->done);
    (void)pthread_cond_init(&writer->changed, NULL);
    (void)pthread_mutex_init(&writer->lock, NULL);
    return writer;
}

static void stop_writer(struct writer *writer)
{
    LOCK_SCOPE(&writer->lock);
    writer->stopping = true;
    (void)pthread_cond_signal(&writer->changed);
}

void writer_free(struct writer *writer)
{
    if (!writer)
        return;
    stop_writer(writer);
    if (writer->has_thread)
        (void)pthread_join(writer->thread, NULL);
    (void)pthread_cond_destroy(&writer->changed);
    (void)pthread_mutex_destroy(&writer->lock);
    free(writer);
}

bool writer_is_ready(struct writer *writer)
{
    if (!writer->has_thread)
        writer->has_thread = bus_thread_start(&writer->thread, writer_main, writer) == 0;
    return writer->has_thread;
}

/* With the lock. */
static void queue_job(struct writer *writer, struct writer_job *job)
{
    job->place = JOB_WITH_WRITER;
    STAILQ_INSERT_TAIL(&writer->to_do, job, link);
    (void)pthread_cond_signal(&writer->changed);
}

void writer_submit(struct writer *writer, struct writer_job *job)
{
    LOCK_SCOPE(&writer->lock);
    queue_job(writer, job);
}

struct writer_job *writer_next_done(struct writer *writer)
{
    LOCK_SCOPE(&writer->lock);
    struct writer_job *job = STAILQ_FIRST(&writer->done);
    if (job) {
        STAILQ_REMOVE_HEAD(&writer->done, link);
        job->place = JOB_TAKEN;
    }
    return job;
}

void writer_abandon(struct writer *writer, struct writer_job *job)
{
    LOCK_SCOPE(&writer->lock);
    job->is_abandoned = true;
    if (job->place == JOB_WITH_WRITER)
        return;
    if (job->place == JOB_DONE)
        STAILQ_REMOVE(&writer->done, job, writer_job, link);
    queue_job(writer, job);
}
