/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread on which the bus waits for the disk. Jobs are run one after another, in their order,
 * and come back to the bus thread; one that is abandoned is discarded on this thread as well.
 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

struct writer;

/* Embedded in what it is about. */
struct writer_job {
    STAILQ_ENTRY(writer_job) link;
    enum { JOB_WITH_WRITER, JOB_DONE, JOB_TAKEN } place;
    bool is_abandoned;
};

/* Both on the writer's thread; `arg` first. */
struct writer_ops {
    void (*run)(void *arg, struct writer_job *job);

    /* Frees what the job is embedded in, whether it was run or not. */
    void (*discard)(void *arg, struct writer_job *job);
};

/* `wake_fd`, an eventfd, is told of each job that is done. NULL without memory. */
struct writer *writer_new(const struct writer_ops *ops, void *arg, int wake_fd);

/* Waits for the job that is run; what is left must have been abandoned. NULL-safe. */
void writer_free(struct writer *writer);

/* Starts the thread when there is none yet: most hosts need none for days. False when it cannot. */
bool writer_is_ready(struct writer *writer);

/* Once for each job, and again for one that was taken. After writer_is_ready(). */
void writer_submit(struct writer *writer, struct writer_job *job);

/* The next one that was run; it is the caller's until it abandons it. NULL when there is none. */
struct writer_job *writer_next_done(struct writer *writer);

/* Has the job discarded, wherever it is. */
void writer_abandon(struct writer *writer, struct writer_job *job);
