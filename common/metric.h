/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted for an operator's Prometheus, all of it in one table, in its text format (0.0.4).
 * Each series is there from the start, so that a rate can be told of its first step, and no label
 * holds what comes from outside. Any thread; nothing here waits. Names begin with
 * nova_snapshot_agent_ and are in metric.c.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

/* Values of labels, in the order of the table. */
enum metric_outcome {
    METRIC_ACTIVE,
    METRIC_FAILED,
    METRIC_UNWANTED,    /* cancelled, or its server is gone */
    METRIC_INTERRUPTED, /* by the agent's end: the next start goes on */
    METRIC_POSTPONED,   /* what cannot be undone now is left to the next start */
    METRIC_OUTCOMES
};

enum metric_service { METRIC_RABBITMQ, METRIC_LIBVIRT, METRIC_SERVICES };

/* Counters, and gauges that go up and down. */
enum metric_count {
    METRIC_SNAPSHOTS, /* series: metric_snapshot() */
    METRIC_READ_BYTES,
    METRIC_STAGED_BYTES,
    METRIC_SENT_BYTES,
    METRIC_PUT_BACKS,
    METRIC_CONNECTIONS,     /* series: enum metric_service */
    METRIC_JOURNAL_RECORDS, /* gauge */
    METRIC_COUNTS
};

enum metric_time {
    METRIC_PHASE, /* series: as enum summary_phase */
    METRIC_FREEZE,
    METRIC_PUT_BACK,
    METRIC_TIMES
};

/* The series of METRIC_SNAPSHOTS of a method by its name in the log; NULL: it has not come to one.
 */
unsigned metric_snapshot(const char *method, enum metric_outcome outcome);

/* A series that a metric does not have is 0. */
void metric_add(enum metric_count count, unsigned series, int64_t n);

/* One more of so many milliseconds. */
void metric_observe(enum metric_time time, unsigned series, uint64_t ms);

/* The lines "# HELP" and "# TYPE" of a metric: its name without the prefix. */
void metric_write_head(FILE *out, const char *name, const char *type, const char *help);

/* A line of it; `labels` as "{slots=\"snapshots\"}" or "". */
void metric_write_value(FILE *out, const char *name, const char *labels, double value);

/* All that is counted here. */
void metric_write_all(FILE *out);
