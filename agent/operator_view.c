/* SPDX-License-Identifier: Apache-2.0 */
/* See operator_view.h. */
#include "agent/operator_view.h"

#include <stdio.h>

#include "agent/agent.h"
#include "agent/freezer.h"
#include "agent/instance_queue.h"
#include "agent/jobs.h"
#include "agent/live_options.h"
#include "agent/preflight.h"
#include "agent/recover.h"
#include "agent/release.h"
#include "agent/shutdown.h"
#include "agent/slots.h"
#include "agent/workers.h"
#include "amqp/bus.h"
#include "common/clock.h"
#include "common/log.h"
#include "conf/conf.h"

const char *const operator_view_log_levels[] = {"error", "warning", "info", "debug", NULL};

static const char *attachment_name(const struct agent *agent)
{
    if (shutdown_has_begun(agent->shutdown))
        return "ending";
    if (!recovery_bus_has_started(agent->recovery))
        return "starting"; /* also when what an earlier agent has left is not yet under way */
    if (!bus_connected(agent->bus))
        return "connecting";
    return bus_attached(agent->bus) ? "attached" : "detached";
}

json_t *operator_view_health(const struct agent *agent)
{
    struct error trouble = ERROR_INIT;
    json_t *reasons = json_array();
    if (preflight_trouble(agent->preflight, &trouble) < 0)
        (void)json_array_append_new(
            reasons, json_sprintf("this host cannot take snapshots: %s", trouble.message));
    if (!bus_connected(agent->bus))
        (void)json_array_append_new(reasons, json_string("RabbitMQ is not connected"));
    if (!bus_alive(agent->bus, BUS_STUCK_MS))
        (void)json_array_append_new(reasons, json_string("the bus thread is stuck"));
    if (shutdown_has_begun(agent->shutdown))
        (void)json_array_append_new(reasons, json_string("the agent is about to end"));
    return json_pack("{s:b, s:o}", "healthy", json_array_size(reasons) == 0, "reasons", reasons);
}

static json_t *view_slots(struct slots *slots)
{
    const struct slots_usage usage = slots_usage(slots);
    return json_pack("{s:i, s:i, s:i}", "limit", (int)usage.limit, "taken", (int)usage.taken,
                     "waiting", (int)usage.waiting);
}

static int mib_of(uint64_t bytes_per_s)
{
    return (int)(bytes_per_s >> 20);
}

static json_t *view_limits(const struct agent *agent)
{
    const struct live_values live = live_options_get(agent->live_options);
    return json_pack("{s:i, s:i, s:i, s:i}", "disk_rate_limit", mib_of(live.disk_bytes_per_s),
                     "disk_rate_limit_host", mib_of(live.disk_host_bytes_per_s),
                     "upload_rate_limit", mib_of(live.upload_bytes_per_s), "upload_rate_limit_host",
                     mib_of(live.upload_host_bytes_per_s));
}

/* Whoever is taken is a worker's before it is not taken any more: looked at in this order. */
static unsigned count_under_way(const struct agent *agent)
{
    unsigned n_taken = atomic_load(&agent->taking);
    return n_taken + workers_running(agent->workers);
}

static json_t *text_or_null(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

/* Where requests come from and what they are served with, as describe_host says it. Nobody is
 * asked, it is as it was last seen: a libvirtd or a broker that hangs holds up no operator. */
static json_t *view_surroundings(const struct agent *agent)
{
    char broker[BUS_BROKER_MAX], text[DRIVER_TEXT_MAX], libvirt[16] = "", qemu[16] = "";
    bus_broker(agent->bus, broker);
    preflight_hypervisor(agent->preflight, text);
    (void)sscanf(text, "libvirt %15[0-9.], %*s %15[0-9.]", libvirt, qemu);
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "queue",
                     json_sprintf("compute.%s", agent->conf->DEFAULT.host), "broker",
                     text_or_null(broker), "libvirt", text_or_null(libvirt), "qemu",
                     text_or_null(qemu), "troubles", preflight_troubles(agent->preflight));
}

static json_t *view_state(const struct agent *agent)
{
    struct error trouble = ERROR_INIT;
    bool is_fit = preflight_trouble(agent->preflight, &trouble) == 0;
    bool is_drained = bus_stands_aside(agent->bus, BUS_ASIDE_DRAINED);
    unsigned nova = release_version(agent->release);
    const struct live_values live = live_options_get(agent->live_options);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:s, s:s, s:{s:o, s:o}, s:i, s:i, s:i, s:o}",
        "version", VERSION, "host", agent->conf->DEFAULT.host, "attach",
        agent->conf->snapshot_agent.attach, "state", attachment_name(agent), "drained",
        (int)is_drained, "fit", (int)is_fit, "trouble",
        is_fit ? json_null() : json_string(trouble.message), "nova_compute_version",
        nova > 0 ? json_integer(nova) : json_null(), "live_snapshot_method",
        snapshot_method_name(live.wanted_method), "log_level",
        operator_view_log_levels[log_get_level()], "slots", "snapshots",
        view_slots(agent->snapshot_slots), "disk_operations", view_slots(agent->disk_op_slots),
        "running", (int)count_under_way(agent), "waiting_for_turn",
        (int)instance_queue_waiting(agent->instance_queue), "frozen_guests",
        (int)freezer_count(agent->freezer), "limits", view_limits(agent));
}

json_t *operator_view_status(const struct agent *agent)
{
    json_t *status = view_state(agent);
    json_t *surroundings = view_surroundings(agent);
    if (json_object_update(status, surroundings) < 0) {
        json_decref(status);
        status = NULL;
    }
    json_decref(surroundings);
    return status;
}

struct job_list {
    json_t *jobs;
    const char *id;              /* NULL: all */
    uint64_t upload_bytes_per_s; /* of a snapshot that is not limited otherwise */
    uint64_t now_ms;
};

static double seconds_since(const struct job_list *list, uint64_t ms)
{
    return list->now_ms > ms ? (double)(list->now_ms - ms) / 1000 : 0;
}

/* Null each, when the phase has no bytes to count. */
static json_t *view_progress(const struct job_list *list, const struct progress *progress)
{
    uint64_t left_s = progress_left_s(progress, list->now_ms);
    if (progress->total_bytes == 0)
        return json_null();
    return json_pack("{s:I, s:I, s:i, s:I, s:o}", "bytes", (json_int_t)progress->done_bytes,
                     "total_bytes", (json_int_t)progress->total_bytes, "percent",
                     (int)((double)progress->done_bytes * 100 / (double)progress->total_bytes),
                     "bytes_per_s", (json_int_t)progress_bytes_per_s(progress, list->now_ms),
                     "seconds_left",
                     left_s == PROGRESS_NEVER_S ? json_null() : json_integer((json_int_t)left_s));
}

/* Beside those of the host, which it shares. */
static json_t *view_own_limits(const struct job_list *list, const struct job *job)
{
    return json_pack("{s:o, s:i}", "disk_rate_limit",
                     job->is_read ? json_integer(mib_of(jobs_disk_limit(job))) : json_null(),
                     "upload_rate_limit", mib_of(jobs_upload_limit(job, list->upload_bytes_per_s)));
}

static void view_job(void *arg, const struct job *job)
{
    const struct job_list *list = arg;
    if (list->id && !jobs_is_called(job, list->id))
        return;
    (void)json_array_append_new(
        list->jobs,
        json_pack("{s:i, s:s, s:s, s:s, s:s?, s:s?, s:s, s:f, s:f, s:o, s:o}", "id",
                  (int)job->number, "method", job->method, "request", job->request_id, "instance",
                  job->instance_uuid, "image", job->image_id, "snapshot_method",
                  job->snapshot_method, "phase", job->phase, "phase_seconds",
                  seconds_since(list, job->phase_ms), "seconds", seconds_since(list, job->begun_ms),
                  "progress", view_progress(list, &job->progress), "limits",
                  view_own_limits(list, job)));
}

json_t *operator_view_jobs(const struct agent *agent, const char *id)
{
    struct job_list list = {.jobs = json_array(),
                            .id = id,
                            .upload_bytes_per_s =
                                live_options_get(agent->live_options).upload_bytes_per_s,
                            .now_ms = clock_now_ms()};
    jobs_visit(agent->jobs, view_job, &list);
    return list.jobs;
}
