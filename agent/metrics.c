/* SPDX-License-Identifier: Apache-2.0 */
/* See metrics.h. */
#include "agent/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/freezer.h"
#include "agent/instance_queue.h"
#include "agent/journal.h"
#include "agent/preflight.h"
#include "agent/release.h"
#include "agent/shutdown.h"
#include "agent/slots.h"
#include "agent/workers.h"
#include "amqp/bus.h"
#include "common/log.h"
#include "common/metric.h"
#include "conf/conf.h"
#include "control/metrics_server.h"

static void write_gauge(FILE *out, const char *name, const char *help, double value)
{
    metric_write_head(out, name, "gauge", help);
    metric_write_value(out, name, "", value);
}

static void write_versions(const struct agent *agent, FILE *out)
{
    metric_write_head(out, "build_info", "gauge", "1, with the agent's version.");
    metric_write_value(out, "build_info", "{version=\"" VERSION "\"}", 1);
    write_gauge(out, "nova_compute_service_version",
                "Of the nova-compute beside the agent; 0: not known.",
                release_version(agent->release));
}

static void write_state(const struct agent *agent, FILE *out)
{
    struct error trouble = ERROR_INIT;
    write_gauge(out, "connected", "1: there is a connection to RabbitMQ.",
                bus_connected(agent->bus));
    write_gauge(out, "attached",
                "1: requests are taken; 0: they are nova-compute's, as while the host cannot take "
                "snapshots, is drained, or has no nova-compute.",
                bus_attached(agent->bus));
    write_gauge(out, "host_ready", "1: the last look has found that this host can take snapshots.",
                preflight_trouble(agent->preflight, &trouble) == 0);
    write_gauge(out, "ending", "1: the agent takes no more requests and is about to end.",
                shutdown_has_begun(agent->shutdown));
}

static void write_work(const struct agent *agent, FILE *out)
{
    write_gauge(out, "requests", "Requests under way, those that wait included.",
                workers_running(agent->workers));
    write_gauge(out, "requests_waiting_for_turn",
                "Of these, how many wait for another request of their server.",
                instance_queue_waiting(agent->instance_queue));
    write_gauge(out, "frozen_guests", "Guests that are frozen for snapshots of their volumes.",
                freezer_count(agent->freezer));
}

/* From the folder each time: neither a restart forgets one, nor is one told that was taken away. */
static void write_unreadable(const struct agent *agent, FILE *out)
{
    struct error err = ERROR_INIT;
    unsigned n = 0;
    if (journal_unreadable_count(agent->journal, &n, &err) < 0)
        log_warning("records that nobody understands are not counted: %s", err.message);
    else
        write_gauge(out, "journal_unreadable_records",
                    "Records of the journal that nobody understands: people have to look at them.",
                    n);
}

/* Of each kind: how many there may be, are taken and are waited for. */
static void write_slots(const struct agent *agent, FILE *out)
{
    const struct slots_usage snapshots = slots_usage(agent->snapshot_slots);
    const struct slots_usage disk_ops = slots_usage(agent->disk_op_slots);
    const struct {
        const char *name;
        const char *help;
        unsigned snapshots, disk_ops;
    } gauges[] = {
        {"slots_limit", "max_concurrent_snapshots, max_concurrent_disk_ops; 0: no limit.",
         snapshots.limit, disk_ops.limit},
        {"slots_taken", "How many are taken.", snapshots.taken, disk_ops.taken},
        {"slots_waiting", "How many requests wait for one.", snapshots.waiting, disk_ops.waiting},
    };
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
        metric_write_head(out, gauges[i].name, "gauge", gauges[i].help);
        metric_write_value(out, gauges[i].name, "{kind=\"snapshot\"}", gauges[i].snapshots);
        metric_write_value(out, gauges[i].name, "{kind=\"disk_op\"}", gauges[i].disk_ops);
    }
}

char *metrics_text(void *arg)
{
    const struct agent *agent = arg;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    write_versions(agent, out);
    write_state(agent, out);
    write_work(agent, out);
    write_unreadable(agent, out);
    write_slots(agent, out);
    metric_write_all(out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

void metrics_listen(struct agent *agent)
{
    struct error err = ERROR_INIT;
    const char *address = agent->conf->snapshot_agent.metrics_address;
    if (!address || address[0] == '\0')
        return;
    if (metrics_server_start(address, metrics_text, agent, &agent->metrics_server, &err) < 0)
        log_warning("no metrics are shown: [snapshot_agent]metrics_address: %s", err.message);
    else
        log_info("metrics are shown on port %u", metrics_server_port(agent->metrics_server));
}
