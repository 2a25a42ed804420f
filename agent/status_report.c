/* SPDX-License-Identifier: Apache-2.0 */
/* See status_report.h. */
#include "agent/status_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/freezer.h"
#include "agent/instance_queue.h"
#include "agent/jobs.h"
#include "agent/preflight.h"
#include "agent/release.h"
#include "agent/shutdown.h"
#include "agent/slots.h"
#include "agent/workers.h"
#include "amqp/bus.h"
#include "common/clock.h"
#include "common/log.h"
#include "conf/conf.h"

static void write_versions(const struct agent *agent, FILE *out)
{
    unsigned version = release_version(agent->release);
    (void)fprintf(out, "nova-snapshot-agent " VERSION " serves host %s", agent->conf->DEFAULT.host);
    if (version > 0)
        (void)fprintf(out, "; nova-compute has service version %u\n", version);
    else
        (void)fputs("; the service version of nova-compute is not known\n", out);
}

static void write_attachment(const struct agent *agent, FILE *out)
{
    const char *attachment = "not connected to RabbitMQ, trying";
    if (bus_connected(agent->bus))
        attachment =
            bus_attached(agent->bus) ? "attached, takes requests" : "connected, takes no requests";
    (void)fprintf(out, "queue compute.%s, attach = %s: %s%s\n", agent->conf->DEFAULT.host,
                  agent->conf->snapshot_agent.attach, attachment,
                  shutdown_has_begun(agent->shutdown) ? "; the agent is about to end" : "");
}

static void write_host(const struct agent *agent, FILE *out)
{
    struct error trouble = ERROR_INIT;
    if (preflight_trouble(agent->preflight, &trouble) == 0)
        (void)fputs("this host can take snapshots\n", out);
    else
        (void)fprintf(out, "this host cannot take snapshots: %s\n", trouble.message);
}

static void write_slots(const char *name, struct slots *slots, FILE *out)
{
    const struct slots_usage usage = slots_usage(slots);
    (void)fprintf(out, "%s: %u taken, ", name, usage.taken);
    if (usage.limit > 0)
        (void)fprintf(out, "%u at most, ", usage.limit);
    (void)fprintf(out, "%u waiting\n", usage.waiting);
}

struct job_list {
    FILE *out;
    uint64_t now_ms;
};

static double seconds_since(const struct job_list *list, uint64_t ms)
{
    return list->now_ms > ms ? (double)(list->now_ms - ms) / 1000 : 0;
}

static void write_job(void *arg, const struct job *job)
{
    const struct job_list *list = arg;
    (void)fprintf(list->out, "request %s, %s of instance %s", job->request_id, job->method,
                  job->instance_uuid);
    if (job->image_id)
        (void)fprintf(list->out, ", image %s", job->image_id);
    (void)fprintf(list->out, ": %s for %.1f s, %.1f s in all\n", job->phase,
                  seconds_since(list, job->phase_ms), seconds_since(list, job->begun_ms));
}

static void write_jobs(const struct agent *agent, FILE *out)
{
    struct job_list list = {.out = out, .now_ms = clock_now_ms()};
    (void)fprintf(out, "requests under way: %u; waiting for another one of their instance: %u\n",
                  workers_running(agent->workers), instance_queue_waiting(agent->instance_queue));
    (void)fprintf(out, "guests frozen for snapshots of their volumes: %u\n",
                  freezer_count(agent->freezer));
    jobs_visit(agent->jobs, write_job, &list);
}

void status_report_write(const struct agent *agent, FILE *out)
{
    write_versions(agent, out);
    write_attachment(agent, out);
    write_host(agent, out);
    write_slots("snapshot slots", agent->snapshot_slots, out);
    write_slots("disk operation slots", agent->disk_op_slots, out);
    write_jobs(agent, out);
}

void status_report_log(const struct agent *agent)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return;
    status_report_write(agent, out);
    (void)fclose(out);
    for (char *line = text, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        log_info("status: %s", line);
    }
    free(text);
}
