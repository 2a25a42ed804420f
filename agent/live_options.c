/* SPDX-License-Identifier: Apache-2.0 */
/* See live_options.h. */
#include "agent/live_options.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/plan.h"
#include "agent/slots.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/throttle.h"

struct live_options {
    pthread_mutex_t changing; /* one change at a time; taken before `lock` */
    pthread_mutex_t lock;
    struct live_values values;
};

static uint64_t bytes_of_mib(int mib)
{
    return (uint64_t)mib << 20;
}

struct live_values live_options_of(const struct conf *conf)
{
#define OWN(field) conf->snapshot_agent.field
    return (struct live_values){
        .wanted_method = plan_wanted_method(conf),
        .disk_bytes_per_s = bytes_of_mib(OWN(disk_rate_limit)),
        .disk_host_bytes_per_s = bytes_of_mib(OWN(disk_rate_limit_host)),
        .upload_bytes_per_s = bytes_of_mib(OWN(upload_rate_limit)),
        .upload_host_bytes_per_s = bytes_of_mib(OWN(upload_rate_limit_host)),
    };
#undef OWN
}

int live_options_new(const struct conf *conf, struct live_options **ret_options, struct error *err)
{
    struct live_options *options = calloc(1, sizeof(*options));
    if (!options)
        return error_nomem(err);
    (void)pthread_mutex_init(&options->changing, NULL);
    (void)pthread_mutex_init(&options->lock, NULL);
    options->values = live_options_of(conf);
    *ret_options = options;
    return 0;
}

void live_options_free(struct live_options *options)
{
    if (!options)
        return;
    (void)pthread_mutex_destroy(&options->lock);
    (void)pthread_mutex_destroy(&options->changing);
    free(options);
}

void live_options_set(struct live_options *options, const struct live_values *values)
{
    LOCK_SCOPE(&options->lock);
    options->values = *values;
}

struct live_values live_options_get(struct live_options *options)
{
    LOCK_SCOPE(&options->lock);
    return options->values;
}

uint64_t live_options_disk_share(const struct live_values *values, unsigned snapshots)
{
    uint64_t own = values->disk_bytes_per_s;
    uint64_t share = values->disk_host_bytes_per_s / (snapshots > 0 ? snapshots : 1);
    return own == 0 || (share != 0 && share < own) ? share : own;
}

static void apply_values(struct agent *agent, const struct live_values *values)
{
    unsigned snapshots = slots_usage(agent->snapshot_slots).limit;
    live_options_set(agent->live_options, values);
    agent->driver->ops->set_disk_rate(agent->driver, live_options_disk_share(values, snapshots));
    throttle_set(agent->disk_throttle, values->disk_host_bytes_per_s);
    throttle_set(agent->upload_throttle, values->upload_host_bytes_per_s);
    log_info("from now on: live_snapshot_method = %s, disk_rate_limit = %" PRIu64 " (host: %" PRIu64
             "), upload_rate_limit = %" PRIu64 " (host: %" PRIu64 ")",
             snapshot_method_name(values->wanted_method), values->disk_bytes_per_s >> 20,
             values->disk_host_bytes_per_s >> 20, values->upload_bytes_per_s >> 20,
             values->upload_host_bytes_per_s >> 20);
}

void live_options_change(struct agent *agent,
                         void (*change)(struct live_values *values, const void *arg),
                         const void *arg)
{
    LOCK_SCOPE(&agent->live_options->changing);
    struct live_values values = live_options_get(agent->live_options);
    change(&values, arg);
    apply_values(agent, &values);
}
