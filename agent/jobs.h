/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the workers are at, for whoever asks (status_report.h, operator.h): each request that is
 * being served enters itself. Thread-safe. NULL jobs keep nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/progress.h"
#include "common/error.h"
#include "common/throttle.h"

struct jobs;

/* What an operator may limit of one request. */
enum job_rate { JOB_UPLOAD, JOB_DISK, JOB_RATES };

struct job_limit {
    struct throttle *throttle; /* borrowed; what keeps it now; NULL: nothing is read through one */
    bool is_set;               /* by an operator, */
    uint64_t bytes_per_s;      /* to that; 0: to nothing */
};

/* A request under way. Belongs to its worker; others see it in jobs_visit() only. */
struct job {
    const char *method; /* borrowed while it is entered, as the next three */
    const char *request_id;
    const char *instance_uuid;
    const char *image_id; /* NULL: it makes none */

    /* guarded by the lock of jobs */
    unsigned number;             /* counted from 1, while this agent lives */
    const char *snapshot_method; /* constant; NULL: not chosen yet, or it takes no snapshot */
    const char *phase;           /* constant */
    struct progress progress;    /* of the phase */
    bool is_read;                /* its disk is, or was, ... */
    uint64_t disk_bytes_per_s;   /* ... within this limit; 0: none */
    struct job_limit limits[JOB_RATES];
    unsigned from_percent; /* of the whole, when nothing of what is going on is done ... */
    unsigned to_percent;   /* ... and when all is */
    uint64_t begun_ms;     /* of clock_now_ms() */
    uint64_t phase_ms;
    struct jobs *jobs; /* NULL: it is not entered */
    struct job *next;
};

/* Returns owned. */
int jobs_new(struct jobs **ret_jobs, struct error *err);
void jobs_free(struct jobs *jobs); /* NULL-safe. No job may be entered. */

/* Enters the job, which may not move until it is removed. */
void jobs_add(struct jobs *jobs, struct job *job);

/* One that is not entered is left alone, here and below. */
void jobs_remove(struct job *job);

/* What it is at from now on: a constant. Nothing of it is done. */
void jobs_set_phase(struct job *job, const char *phase);

/* How its snapshot is taken: a constant. */
void jobs_set_snapshot_method(struct job *job, const char *method);

/* How far the phase is, see progress.h. */
void jobs_set_progress(struct job *job, uint64_t done_bytes, uint64_t total_bytes);

/* What its upload, or the reader of its disk, is limited by from now on, NULL: that has ended. An
 * operator's limit is put in force.
 */
void jobs_set_throttle(struct job *job, enum job_rate rate, struct throttle *throttle);

/* What its disk is read within from now on; 0: no limit. */
void jobs_set_disk_limit(struct job *job, uint64_t bytes_per_s);

/* The same of a copy that asks: an operator's limit, or the usual one. That is what it returns. */
uint64_t jobs_ask_disk_limit(struct job *job, uint64_t usual_bytes_per_s);

/* What its upload is limited to now, or, when it has not come to that, by an operator, or else to
 * what is usual. In jobs_visit() only. */
uint64_t jobs_upload_limit(const struct job *job, uint64_t usual_bytes_per_s);

/* What its disk is, or was, read within. In jobs_visit() only. */
uint64_t jobs_disk_limit(const struct job *job);

/* Limits a job, now or when it comes to that. False when there is none of that id. */
bool jobs_limit(struct jobs *jobs, const char *id, enum job_rate rate, uint64_t bytes_per_s);

/* Whether `id`, a number or an image's id, means this one. */
bool jobs_is_called(const struct job *job, const char *id);

/* What is done from now on takes the whole from here to there. */
void jobs_set_span(struct job *job, unsigned from_percent, unsigned to_percent);

/* How far the whole is: 0 to 100. */
unsigned jobs_percent(struct job *job);

/* Calls visit() for each, the oldest first, under the lock: it may call nothing of jobs. */
void jobs_visit(struct jobs *jobs, void (*visit)(void *arg, const struct job *job), void *arg);
