/* SPDX-License-Identifier: Apache-2.0 */
/* See show.h. */
#include "tool/show.h"

#include <string.h>

#include "common/json.h"
#include "tool/call.h"
#include "tool/job.h"
#include "tool/units.h"

static int number_of(const json_t *object, const char *key)
{
    return (int)json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_member(object, key);
    return text ? text : "not known";
}

static void write_state(const json_t *status, FILE *out)
{
    static const struct {
        const char *state, *text;
    } texts[] = {
        {"starting", "starting, what an earlier agent has left comes first"},
        {"attached", "attached, takes requests"},
        {"detached", "connected to RabbitMQ, takes no requests"},
        {"connecting", "not connected to RabbitMQ, trying"},
        {"ending", "about to end"},
    };
    const char *text = text_of(status, "state");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(texts[i].state, text) == 0)
            text = texts[i].text;
    (void)fprintf(out, "state         %s%s\n", text,
                  json_is_true(json_object_get(status, "drained")) ? " (drained)" : "");
}

/* The first is "trouble", which alone an agent of before tells. */
static void write_troubles(const json_t *status, FILE *out)
{
    const json_t *troubles = json_object_get(status, "troubles");
    (void)fprintf(out, "host          cannot take snapshots: %s\n", text_of(status, "trouble"));
    for (size_t i = 1; i < json_array_size(troubles); i++) {
        const json_t *trouble = json_array_get(troubles, i);
        (void)fprintf(out, "              also %s: %s\n", text_of(trouble, "check"),
                      text_of(trouble, "text"));
    }
}

static void write_fitness(const json_t *status, FILE *out)
{
    const json_t *fit = json_object_get(status, "fit");
    if (!json_is_boolean(fit))
        (void)fputs("host          not known\n", out);
    else if (json_is_true(fit))
        (void)fputs("host          can take snapshots\n", out);
    else
        write_troubles(status, out);
}

/* Of an agent of before that is not known. */
static void write_surroundings(const json_t *status, FILE *out)
{
    (void)fprintf(out, "queue         %s at %s\n", text_of(status, "queue"),
                  text_of(status, "broker"));
    (void)fprintf(out, "hypervisor    libvirt %s, QEMU %s\n", text_of(status, "libvirt"),
                  text_of(status, "qemu"));
}

static void write_slots(const json_t *slots, const char *key, const char *name, FILE *out)
{
    const json_t *usage = json_object_get(slots, key);
    int limit = number_of(usage, "limit");
    (void)fprintf(out, "%-14s%d running", name, number_of(usage, "taken"));
    if (limit > 0)
        (void)fprintf(out, " of %d at most", limit);
    (void)fprintf(out, ", %d waiting\n", number_of(usage, "waiting"));
}

static void write_limits(const json_t *limits, FILE *out)
{
    (void)fprintf(out, "limits        disk %s (host: %s), upload %s (host: %s)\n",
                  units_limit(number_of(limits, "disk_rate_limit")).text,
                  units_limit(number_of(limits, "disk_rate_limit_host")).text,
                  units_limit(number_of(limits, "upload_rate_limit")).text,
                  units_limit(number_of(limits, "upload_rate_limit_host")).text);
}

enum invocation_exit show_limits(const json_t *status, FILE *out)
{
    const json_t *limits = json_object_get(status, "limits");
    if (!json_is_object(limits))
        return call_complain_of_lack("limits");
    write_limits(limits, out);
    return INVOCATION_DONE;
}

static void write_status(const json_t *status, FILE *out)
{
    const json_t *slots = json_object_get(status, "slots");
    int nova = number_of(status, "nova_compute_version");
    (void)fprintf(out, "nova-snapshot-agent %s on host %s\n", text_of(status, "version"),
                  text_of(status, "host"));
    write_state(status, out);
    write_fitness(status, out);
    write_surroundings(status, out);
    if (nova > 0)
        (void)fprintf(out, "nova-compute  service version %d\n", nova);
    else
        (void)fputs("nova-compute  service version not known\n", out);
    write_slots(slots, "snapshots", "snapshots", out);
    write_slots(slots, "disk_operations", "disk work", out);
    (void)fprintf(out, "requests      %d under way, %d waiting for another of their server\n",
                  number_of(status, "running"), number_of(status, "waiting_for_turn"));
    if (number_of(status, "frozen_guests") > 0)
        (void)fprintf(out, "frozen        %d guests\n", number_of(status, "frozen_guests"));
    write_limits(json_object_get(status, "limits"), out);
    (void)fprintf(out, "method        %s\n", text_of(status, "live_snapshot_method"));
    (void)fprintf(out, "log level     %s\n", text_of(status, "log_level"));
}

/* What is under way belongs to how the agent is, for programs too: it becomes a member of that. */
static enum invocation_exit add_jobs(const struct invocation *invocation, json_t *agent_status)
{
    const struct call call = {.method = "GET", .path = "/v1/jobs"};
    json_t *answer = NULL;
    enum invocation_exit status = call_agent(invocation, &call, &answer);
    json_t *jobs = json_object_get(answer, "jobs");
    if (status == INVOCATION_DONE && !json_is_array(jobs))
        status = call_complain_of_lack("jobs");
    if (status == INVOCATION_DONE)
        (void)json_object_set(agent_status, "jobs", jobs);
    json_decref(answer);
    return status;
}

static void write_status_and_jobs(const json_t *status, FILE *out)
{
    const json_t *jobs = json_object_get(status, "jobs");
    write_status(status, out);
    if (json_array_size(jobs) == 0)
        return;
    (void)fputc('\n', out);
    job_write_table(jobs, out);
}

enum invocation_exit show_status(const struct invocation *invocation)
{
    const struct call call = {.method = "GET", .path = "/v1/status"};
    json_t *answer = NULL;
    enum invocation_exit status = call_agent(invocation, &call, &answer);
    if (status != INVOCATION_DONE)
        return status;
    status = add_jobs(invocation, answer);
    if (!call_print_json(invocation, answer)) {
        if (!json_is_string(json_object_get(answer, "state")))
            status = call_complain_of_lack("state");
        else
            write_status_and_jobs(answer, stdout);
    }
    json_decref(answer);
    return status;
}

enum invocation_exit show_jobs(const struct invocation *invocation)
{
    const struct call call = {.method = "GET", .path = "/v1/jobs"};
    json_t *answer = NULL;
    enum invocation_exit status = call_agent(invocation, &call, &answer);
    const json_t *jobs = json_object_get(answer, "jobs");
    if (status == INVOCATION_DONE && !call_print_json(invocation, answer)) {
        if (!json_is_array(jobs))
            status = call_complain_of_lack("jobs");
        else
            job_write_table(jobs, stdout);
    }
    json_decref(answer);
    return status;
}

enum invocation_exit show_job(const struct invocation *invocation)
{
    const struct call call = {.method = "GET", .path = "/v1/jobs/", .id = invocation->argument};
    json_t *answer = NULL;
    enum invocation_exit status = call_agent(invocation, &call, &answer);
    if (status == INVOCATION_DONE && !call_print_json(invocation, answer)) {
        if (!json_is_integer(json_object_get(answer, "id")))
            status = call_complain_of_lack("id");
        else
            job_write_one(answer, stdout);
    }
    json_decref(answer);
    return status;
}
