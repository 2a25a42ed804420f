/* SPDX-License-Identifier: Apache-2.0 */
/* See jobs.h. */
#include "agent/jobs.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/clock.h"

struct jobs {
    pthread_mutex_t lock;
    struct job *first; /* in the order they were entered */
    unsigned n_entered;
};

int jobs_new(struct jobs **ret_jobs, struct error *err)
{
    struct jobs *jobs = calloc(1, sizeof(*jobs));
    if (!jobs)
        return error_nomem(err);
    (void)pthread_mutex_init(&jobs->lock, NULL);
    *ret_jobs = jobs;
    return 0;
}

void jobs_free(struct jobs *jobs)
{
    if (!jobs)
        return;
    (void)pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}

void jobs_add(struct jobs *jobs, struct job *job)
{
    if (!jobs)
        return;
    LOCK_SCOPE(&jobs->lock);
    struct job **link = &jobs->first;
    while (*link)
        link = &(*link)->next;
    *link = job;
    job->next = NULL;
    job->jobs = jobs;
    job->number = ++jobs->n_entered;
    job->phase = "begin";
    job->begun_ms = job->phase_ms = clock_now_ms();
}

void jobs_remove(struct job *job)
{
    if (!job->jobs)
        return;
    LOCK_SCOPE(&job->jobs->lock);
    struct job **link = &job->jobs->first;
    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    job->jobs = NULL;
}

void jobs_set_phase(struct job *job, const char *phase)
{
    if (!job->jobs)
        return;
    LOCK_SCOPE(&job->jobs->lock);
    job->phase = phase;
    job->phase_ms = clock_now_ms();
    job->progress = (struct progress){0};
}

void jobs_set_snapshot_method(struct job *job, const char *method)
{
    if (!job->jobs)
        return;
    LOCK_SCOPE(&job->jobs->lock);
    job->snapshot_method = method;
}

void jobs_set_progress(struct job *job, uint64_t done_bytes, uint64_t total_bytes)
{
    if (!job->jobs)
        return;
    LOCK_SCOPE(&job->jobs->lock);
    progress_note(&job->progress, done_bytes, total_bytes, clock_now_ms());
}

void jobs_set_throttle(struct job *job, enum job_rate rate, struct throttle *throttle)
{
    struct job_limit *limit = &job->limits[rate];
    if (!job->jobs)
        return;
    LOCK_SCOPE(&job->jobs->lock);
    limit->throttle = throttle;
    if (throttle && limit->is_set)
        throttle_set(throttle, limit->bytes_per_s);
}

void jobs_set_disk_limit(struct job *job, uint64_t bytes_per_s)
{
    if (!job->jobs)
        return;
    LOCK_SCOPE(&job->jobs->lock);
    job->is_read = true;
    job->disk_bytes_per_s = bytes_per_s;
}

uint64_t jobs_ask_disk_limit(struct job *job, uint64_t usual_bytes_per_s)
{
    const struct job_limit *limit = &job->limits[JOB_DISK];
    if (!job->jobs)
        return usual_bytes_per_s;
    LOCK_SCOPE(&job->jobs->lock);
    job->is_read = true;
    job->disk_bytes_per_s = limit->is_set ? limit->bytes_per_s : usual_bytes_per_s;
    return job->disk_bytes_per_s;
}

uint64_t jobs_upload_limit(const struct job *job, uint64_t usual_bytes_per_s)
{
    const struct job_limit *limit = &job->limits[JOB_UPLOAD];
    if (limit->throttle)
        return throttle_rate(limit->throttle);
    return limit->is_set ? limit->bytes_per_s : usual_bytes_per_s;
}

uint64_t jobs_disk_limit(const struct job *job)
{
    const struct job_limit *limit = &job->limits[JOB_DISK];
    return limit->throttle ? throttle_rate(limit->throttle) : job->disk_bytes_per_s;
}

static void set_limit(struct job_limit *limit, uint64_t bytes_per_s)
{
    limit->is_set = true;
    limit->bytes_per_s = bytes_per_s;
    if (limit->throttle)
        throttle_set(limit->throttle, bytes_per_s);
}

bool jobs_limit(struct jobs *jobs, const char *id, enum job_rate rate, uint64_t bytes_per_s)
{
    LOCK_SCOPE(&jobs->lock);
    struct job *job = jobs->first;
    while (job && !jobs_is_called(job, id))
        job = job->next;
    if (job)
        set_limit(&job->limits[rate], bytes_per_s);
    return job != NULL;
}

bool jobs_is_called(const struct job *job, const char *id)
{
    char number[16];
    (void)snprintf(number, sizeof(number), "%u", job->number);
    return strcmp(number, id) == 0 || (job->image_id && strcasecmp(job->image_id, id) == 0);
}

void jobs_set_span(struct job *job, unsigned from_percent, unsigned to_percent)
{
    if (!job->jobs)
        return;
    LOCK_SCOPE(&job->jobs->lock);
    job->from_percent = from_percent;
    job->to_percent = to_percent;
    job->progress = (struct progress){0};
}

unsigned jobs_percent(struct job *job)
{
    if (!job->jobs)
        return 0;
    LOCK_SCOPE(&job->jobs->lock);
    const struct progress *progress = &job->progress;
    double share = progress->total_bytes > 0
                       ? (double)progress->done_bytes / (double)progress->total_bytes
                       : 0;
    unsigned span = job->to_percent - job->from_percent;
    return job->from_percent + (unsigned)(share < 1 ? span * share : span);
}

void jobs_visit(struct jobs *jobs, void (*visit)(void *arg, const struct job *job), void *arg)
{
    if (!jobs)
        return;
    LOCK_SCOPE(&jobs->lock);
    for (const struct job *job = jobs->first; job; job = job->next)
        visit(arg, job);
}
