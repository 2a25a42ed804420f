/* SPDX-License-Identifier: Apache-2.0 */
/* See operator.h. */
#include "agent/operator.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/canceller.h"
#include "agent/clean/run.h"
#include "agent/doctor.h"
#include "agent/jobs.h"
#include "agent/live_options.h"
#include "agent/metrics.h"
#include "agent/operator_view.h"
#include "agent/recover.h"
#include "amqp/bus.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/private_file.h"
#include "conf/conf.h"

static json_t *view_health(void *arg)
{
    return operator_view_health(arg);
}

static json_t *view_status(void *arg)
{
    return operator_view_status(arg);
}

static json_t *view_jobs(void *arg, const char *id)
{
    return operator_view_jobs(arg, id);
}

static int view_doctor(void *arg, const char *instance, json_t **ret_report, struct error *err)
{
    const struct agent *agent = arg;
    return doctor_look(agent->doctor, instance, ret_report, err);
}

static int cancel_job(void *arg, const char *id, struct error *err)
{
    const struct agent *agent = arg;
    json_t *jobs = operator_view_jobs(agent, id);
    const json_t *job = json_array_get(jobs, 0);
    const char *image_id = json_string_value(json_object_get(job, "image"));
    int r = 0;
    if (!jobs)
        r = error_nomem(err);
    else if (!job)
        r = error_set(err, ENOENT, EXC_INVALID_INPUT, "there is no such job");
    else if (!image_id || canceller_image_unwanted(agent->canceller, image_id) == 0)
        r = error_set(err, EBUSY, EXC_INVALID_INPUT,
                      "job %s cannot be cancelled any more, or not "
                      "at all",
                      id);
    else
        log_info("an operator cancels the snapshot of image %s", image_id);
    json_decref(jobs);
    return r;
}

/*
 * A start takes no signal before it is over, and could have attached by then: it is told at once,
 * while there is no bus to wait for. The main thread says it in the log when it comes to it.
 */
static int set_drained(void *arg, bool on, struct error *err)
{
    const struct agent *agent = arg;
    const union sigval wish = {.sival_int = on ? OPERATOR_DRAIN : OPERATOR_RESUME};
    if (!recovery_bus_has_started(agent->recovery))
        bus_stand_aside(agent->bus, BUS_ASIDE_DRAINED, on);
    return sigqueue(getpid(), OPERATOR_SIGNAL, wish) == 0
               ? 0
               : error_errno(err, errno, "cannot tell the main thread");
}

static void change_rate(uint64_t *bytes_per_s, int mib)
{
    if (mib != CONTROL_RATE_KEPT)
        *bytes_per_s = (uint64_t)mib << 20;
}

static void change_rates(struct live_values *values, const void *arg)
{
    const struct control_rates *rates = arg;
    change_rate(&values->disk_bytes_per_s, rates->disk);
    change_rate(&values->disk_host_bytes_per_s, rates->disk_host);
    change_rate(&values->upload_bytes_per_s, rates->upload);
    change_rate(&values->upload_host_bytes_per_s, rates->upload_host);
}

/* What qemu-img reads, or Ceph clones, has begun as it was to be. */
static int check_follows(const struct agent *agent, const char *id, struct error *err)
{
    static const char *const methods[] = {"stream", "blockcopy", "blockrebase"};
    json_t *jobs = operator_view_jobs(agent, id);
    const char *method = json_string_member(json_array_get(jobs, 0), "snapshot_method");
    bool follows = !method;
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
        follows = follows || strcmp(method, methods[i]) == 0;
    int r = follows ? 0
                    : error_set(err, EBUSY, EXC_INVALID_INPUT,
                                "job %s is taken by %s, whose disk keeps the limit it began with",
                                id, method);
    json_decref(jobs);
    return r;
}

static int limit_job(struct agent *agent, const struct control_rates *rates, struct error *err)
{
    const int wanted[JOB_RATES] = {[JOB_UPLOAD] = rates->upload, [JOB_DISK] = rates->disk};
    static const char *const names[JOB_RATES] = {"upload", "disk"};
    int r = rates->disk != CONTROL_RATE_KEPT ? check_follows(agent, rates->job, err) : 0;
    for (unsigned i = 0; r == 0 && i < JOB_RATES; i++) {
        if (wanted[i] == CONTROL_RATE_KEPT)
            continue;
        if (!jobs_limit(agent->jobs, rates->job, i, (uint64_t)wanted[i] << 20))
            return error_set(err, ENOENT, EXC_INVALID_INPUT, "there is no such job");
        log_info("an operator limits the %s of job %s to %d MiB/s (0: no limit)", names[i],
                 rates->job, wanted[i]);
    }
    return r;
}

static int set_rates(void *arg, const struct control_rates *rates, struct error *err)
{
    struct agent *agent = arg;
    if (rates->job)
        return limit_job(agent, rates, err);
    log_info("an operator changes the rate limits");
    live_options_change(agent, change_rates, rates);
    return 0;
}

static int find_level(const char *name, enum log_level *ret_level, struct error *err)
{
    for (size_t i = 0; operator_view_log_levels[i]; i++) {
        if (strcmp(operator_view_log_levels[i], name) != 0)
            continue;
        *ret_level = (enum log_level)i;
        return 0;
    }
    return error_set(err, EINVAL, EXC_INVALID_INPUT,
                     "level is one of error, warning, info and debug");
}

static int check_modules(const char *const *modules, struct error *err)
{
    for (; modules && *modules; modules++)
        if (!log_is_module(*modules))
            return error_set(err, EINVAL, EXC_INVALID_INPUT, "the agent has no part '%s'",
                             *modules);
    return 0;
}

static int set_log_level(void *arg, const struct control_log_level *wanted, struct error *err)
{
    enum log_level level = log_get_level();
    (void)arg;
    int r = wanted->level ? find_level(wanted->level, &level, err) : 0;
    if (r == 0)
        r = check_modules(wanted->modules, err);
    if (r < 0)
        return r;
    log_info("an operator sets the log level to %s", operator_view_log_levels[level]);
    log_set_level(level);
    if (wanted->modules)
        log_set_debug_modules(wanted->modules);
    return 0;
}

static int start_clean(void *arg, bool apply, unsigned *ret_run, struct error *err)
{
    const struct agent *agent = arg;
    return clean_start(agent->clean, apply, ret_run, err);
}

static json_t *view_clean(void *arg)
{
    const struct agent *agent = arg;
    return clean_view(agent->clean);
}

const struct control_ops operator_ops = {
    .health = view_health,
    .status = view_status,
    .jobs = view_jobs,
    .metrics = metrics_text,
    .doctor = view_doctor,
    .cancel_job = cancel_job,
    .drain = set_drained,
    .set_rates = set_rates,
    .set_log_level = set_log_level,
    .clean = start_clean,
    .clean_view = view_clean,
};

static int listen_on(struct agent *agent, const char *path, struct error *err)
{
    cleanup_close int folder_fd = -1;
    cleanup_free char *copy = strdup(path);
    if (!copy)
        return error_nomem(err);
    int r = private_file_open_folder(dirname(copy), &folder_fd, err);
    return r < 0 ? r : control_start(path, &operator_ops, agent, &agent->control, err);
}

void operator_listen(struct agent *agent)
{
    struct error err = ERROR_INIT;
    const char *path = agent->conf->snapshot_agent.control_socket;
    if (!path || path[0] == '\0')
        return;
    if (listen_on(agent, path, &err) < 0)
        log_warning("nova-snapshot cannot reach this agent: [snapshot_agent]control_socket: %s",
                    err.message);
    else
        log_debug("control: operators are answered on %s", path);
}
