/* SPDX-License-Identifier: Apache-2.0 */
/* What the server of control.h asks of whom it serves. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"

/* In MiB/s; 0 = no limit. */
#define CONTROL_RATE_MAX (1 << 20)
#define CONTROL_RATE_KEPT (-1)

struct control_rates {
    const char *job; /* an id: of that one alone, which has no limit of the host; NULL: of all */
    int disk, disk_host, upload, upload_host;
};

/* Of what metrics() makes. */
#define CONTROL_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct control_log_level {
    const char *level;          /* "error", "warning", "info", "debug"; NULL: as it is */
    const char *const *modules; /* NULL-ended, as [snapshot_agent]debug_modules; NULL: as it is */
};

/*
 * Who answers. Called on any thread of the server's; each returns at once but where it is said.
 * What cannot be done is EINVAL (400), ENOENT (404), EBUSY (409), else an error of ours (500).
 */
struct control_ops {
    /* An object with member "healthy". NULL: no memory; here and below. Owned. */
    json_t *(*health)(void *arg);
    json_t *(*status)(void *arg);

    /* An array of all, or with `id` of that one, if there is such a job. */
    json_t *(*jobs)(void *arg, const char *id);

    /* Prometheus' text. */
    char *(*metrics)(void *arg);

    /* What is found of the host, or with `instance`, a UUID or a name, of how its snapshot would be
     * taken; an object, owned. It may take a minute, in which others are answered; EBUSY: for
     * somebody else it is being looked. */
    int (*doctor)(void *arg, const char *instance, json_t **ret_report, struct error *err);

    int (*cancel_job)(void *arg, const char *id, struct error *err);

    /* Takes no more requests, or takes them again: soon afterwards. */
    int (*drain)(void *arg, bool on, struct error *err);

    int (*set_rates)(void *arg, const struct control_rates *rates, struct error *err);
    int (*set_log_level)(void *arg, const struct control_log_level *wanted, struct error *err);

    /* Begins to look for what snapshots have left, and with `apply` to remove it; how the last such
     * run is, an object. */
    int (*clean)(void *arg, bool apply, unsigned *ret_run, struct error *err);
    json_t *(*clean_view)(void *arg);
};
