/* SPDX-License-Identifier: Apache-2.0 */
/* An agent that answers as the test says, and keeps what it was asked. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/control_ops.h"

static struct {
    bool healthy, no_memory;
    int errnum; /* of all that is to be done */
    char story[512];
    void (*on_doctor)(void); /* may block; NULL: nothing */
} asked;

static int told(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int told(struct error *err, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(asked.story, sizeof(asked.story), format, ap);
    va_end(ap);
    return asked.errnum == 0
               ? 0
               : error_set(err, asked.errnum, EXC_INTERNAL_ERROR, "it is told to fail");
}

static json_t *ops_health(void *arg)
{
    (void)arg;
    return asked.no_memory ? NULL : json_pack("{s:b}", "healthy", (int)asked.healthy);
}

static json_t *ops_status(void *arg)
{
    (void)arg;
    return json_pack("{s:s}", "host", "cmp1");
}

static json_t *ops_jobs(void *arg, const char *id)
{
    (void)arg;
    json_t *jobs = json_array();
    if (!id || strcmp(id, "7") == 0)
        (void)json_array_append_new(jobs, json_pack("{s:i}", "id", 7));
    return jobs;
}

static char *ops_metrics(void *arg)
{
    (void)arg;
    return asked.no_memory ? NULL : strdup("a_metric 1\n");
}

static int ops_doctor(void *arg, const char *instance, json_t **ret_report, struct error *err)
{
    (void)arg;
    int r = told(err, "doctor %s", instance ? instance : "-");
    if (asked.on_doctor)
        asked.on_doctor();
    if (r == 0)
        *ret_report = json_pack("{s:s}", "status", "ok");
    return r;
}

static int ops_cancel_job(void *arg, const char *id, struct error *err)
{
    (void)arg;
    return told(err, "cancel %s", id);
}

static int ops_drain(void *arg, bool on, struct error *err)
{
    (void)arg;
    return told(err, "drain %d", on);
}

static int ops_set_rates(void *arg, const struct control_rates *rates, struct error *err)
{
    (void)arg;
    return told(err, "rates %s%d %d %d %d", rates->job ? rates->job : "", rates->disk,
                rates->disk_host, rates->upload, rates->upload_host);
}

static int ops_set_log_level(void *arg, const struct control_log_level *wanted, struct error *err)
{
    (void)arg;
    return told(err, "log %s %s", wanted->level ? wanted->level : "-",
                !wanted->modules     ? "-"
                : wanted->modules[0] ? wanted->modules[0]
                                     : "all");
}

static int ops_clean(void *arg, bool apply, unsigned *ret_run, struct error *err)
{
    (void)arg;
    *ret_run = 4;
    return told(err, "clean %d", apply);
}

static json_t *ops_clean_view(void *arg)
{
    (void)arg;
    return asked.no_memory ? NULL : json_pack("{s:i}", "run", 4);
}

static const struct control_ops ops = {
    .health = ops_health,
    .status = ops_status,
    .jobs = ops_jobs,
    .metrics = ops_metrics,
    .doctor = ops_doctor,
    .cancel_job = ops_cancel_job,
    .drain = ops_drain,
    .set_rates = ops_set_rates,
    .set_log_level = ops_set_log_level,
    .clean = ops_clean,
    .clean_view = ops_clean_view,
};
