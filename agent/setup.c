/* SPDX-License-Identifier: Apache-2.0 */
/* See setup.h. */
#include "agent/setup.h"

#include <string.h>

#include "agent/canceller.h"
#include "agent/clean/run.h"
#include "agent/dispatch.h"
#include "agent/doctor.h"
#include "agent/freeze_ledger.h"
#include "agent/freezer.h"
#include "agent/instance_queue.h"
#include "agent/jobs.h"
#include "agent/journal.h"
#include "agent/live_options.h"
#include "agent/preflight.h"
#include "agent/recover.h"
#include "agent/release.h"
#include "agent/setup_clients.h"
#include "agent/shutdown.h"
#include "agent/slots.h"
#include "agent/state_watch.h"
#include "agent/workers.h"
#include "amqp/bus.h"
#include "cinder_client/cinder.h"
#include "common/clock.h"
#include "common/domain_lock.h"
#include "common/failpoint.h"
#include "common/keystone.h"
#include "common/log.h"
#include "common/throttle.h"
#include "conf/conf.h"
#include "control/control.h"
#include "control/metrics_server.h"
#include "glance_client/glance.h"

/* Requests that wait for a slot hold a thread each; beyond this nova-compute takes them. */
#define WORKERS_MAX 256
#define REDELIVERY_MS 30000

/* A deleted image or server is noticed within twice this time. */
#define CANCELLER_INTERVAL_MS 1000
#define STATE_WATCH_INTERVAL_MS 2000
#define PREFLIGHT_PAUSE_MS 1000

/* Without it the agent serves its host as well. */
static void read_key(struct agent *agent, const struct conf *conf)
{
    struct error err = ERROR_INIT;
    if (host_key_read(conf->snapshot_agent.state_dir, conf->DEFAULT.host, &agent->key, &err) < 0)
        log_warning("what this agent makes is not marked, 'nova-snapshot clean' will leave it "
                    "alone: %s",
                    err.message);
}

int setup_state(struct agent *agent, const struct conf *conf, struct error *err)
{
    const char *state_dir = conf->snapshot_agent.state_dir;
    failpoint_init(state_dir);
    int r = freeze_ledger_open(state_dir, conf->DEFAULT.host, &agent->freeze_ledger, err);
    if (r == 0)
        r = journal_open(state_dir, conf->DEFAULT.host, &agent->journal, err);
    if (r == 0)
        r = recovery_new(REDELIVERY_MS, dispatch_recover, &agent->recovery, err);
    if (r < 0)
        setup_undo(agent);
    else
        read_key(agent, conf);
    return r;
}

static int make_throttles(struct agent *agent, const struct conf *conf, struct error *err)
{
    int r = throttle_new((uint64_t)conf->snapshot_agent.disk_rate_limit_host << 20,
                         &agent->disk_throttle, err);
    return r < 0 ? r
                 : throttle_new((uint64_t)conf->snapshot_agent.upload_rate_limit_host << 20,
                                &agent->upload_throttle, err);
}

/* What orders requests and limits them. */
static int make_limits(struct agent *agent, const struct conf *conf, struct error *err)
{
    int r = workers_new(WORKERS_MAX, &agent->workers, err);
    if (r < 0)
        return r;
    r = jobs_new(&agent->jobs, err);
    if (r < 0)
        return r;
    r = instance_queue_new(&agent->instance_queue, err);
    if (r < 0)
        return r;
    instance_queue_lock_domains(agent->instance_queue, DOMAIN_LOCK_FOLDER);
    r = shutdown_new(&agent->shutdown, err);
    if (r < 0)
        return r;
    r = slots_new((unsigned)conf->DEFAULT.max_concurrent_snapshots, &agent->snapshot_slots, err);
    if (r < 0)
        return r;
    r = slots_new((unsigned)conf->compute.max_concurrent_disk_ops, &agent->disk_op_slots, err);
    if (r < 0)
        return r;
    r = make_throttles(agent, conf, err);
    return r < 0 ? r : live_options_new(conf, &agent->live_options, err);
}

/* What has a thread of its own and looks after the others. */
static int make_watches(struct agent *agent, const struct conf *conf, struct error *err)
{
    unsigned freeze_ms = seconds_ms((unsigned)conf->snapshot_agent.freeze_deadline);
    int r = freezer_new(agent->driver, agent->freeze_ledger, freeze_ms, &agent->freezer, err);
    if (r < 0)
        return r;
    r = canceller_new(agent->glance, CANCELLER_INTERVAL_MS, &agent->canceller, err);
    if (r < 0)
        return r;
    r = state_watch_new(agent->bus, conf->DEFAULT.host, STATE_WATCH_INTERVAL_MS,
                        &agent->state_watch, err);
    if (r < 0)
        return r;
    r = release_new(agent->bus, conf->DEFAULT.host, &agent->release, err);
    if (r == 0)
        r = preflight_new(agent, PREFLIGHT_PAUSE_MS, &agent->preflight, err);
    return r < 0 ? r : clean_new(agent, &agent->clean, err);
}

int setup_agent(struct agent *agent, const struct conf *conf, struct error *err)
{
    agent->conf = conf;
    int r = make_limits(agent, conf, err);
    if (r == 0)
        r = setup_clients_make(agent, conf, err);
    if (r == 0)
        r = make_watches(agent, conf, err);
    if (r < 0)
        setup_undo(agent);
    return r;
}

void setup_undo(struct agent *agent)
{
    doctor_stop(agent->doctor);
    control_stop(agent->control);
    doctor_free(agent->doctor);
    metrics_server_stop(agent->metrics_server);
    clean_free(agent->clean);
    preflight_free(agent->preflight);
    state_watch_free(agent->state_watch);
    release_free(agent->release);
    bus_free(agent->bus);
    canceller_free(agent->canceller);
    freezer_free(agent->freezer);
    driver_free(agent->driver);
    cinder_free(agent->cinder);
    glance_free(agent->glance);
    keystone_session_free(agent->own_session);
    keystone_session_free(agent->cinder_session);
    live_options_free(agent->live_options);
    throttle_free(agent->disk_throttle);
    throttle_free(agent->upload_throttle);
    slots_free(agent->disk_op_slots);
    slots_free(agent->snapshot_slots);
    shutdown_free(agent->shutdown);
    instance_queue_free(agent->instance_queue);
    jobs_free(agent->jobs);
    workers_free(agent->workers);
    recovery_free(agent->recovery);
    journal_free(agent->journal);
    freeze_ledger_free(agent->freeze_ledger);
    *agent = (struct agent){0};
}
