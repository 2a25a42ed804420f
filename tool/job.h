/* SPDX-License-Identifier: Apache-2.0 */
/* A job as the agent tells of it. What is missing is not known; all text can be printed. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JOB_TEXT_MAX 64

struct job_view {
    char id[16];
    char method[JOB_TEXT_MAX];
    char request[JOB_TEXT_MAX];
    char instance[JOB_TEXT_MAX];
    char image[JOB_TEXT_MAX]; /* "" = none; here and in the next */
    char snapshot_method[JOB_TEXT_MAX];
    char phase[JOB_TEXT_MAX];
    double phase_seconds, seconds;
    bool has_progress; /* else the rest is not known */
    uint64_t bytes, total_bytes, bytes_per_s;
    int percent;
    double seconds_left; /* negative: not known */
};

struct job_view job_read(const json_t *job);

/* How it is done: the snapshot's method, or what the request is. */
const char *job_how(const struct job_view *job);

/* Of an answer to /v1/jobs: a table, or that there are none. */
void job_write_table(const json_t *jobs, FILE *out);

/* One of them, a fact a line. */
void job_write_one(const json_t *job, FILE *out);

/* What one of them is limited to, in a line. False when it does not tell. */
bool job_write_limits(const json_t *job, FILE *out);

/* One of them with a bar, in a line of at most `columns`. */
void job_write_bar(const json_t *job, unsigned columns, FILE *out);
