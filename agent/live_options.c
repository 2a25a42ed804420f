/* SPDX-License-Identifier: Apache-2.0 */
/* See live_options.h. */
#include "agent/live_options.h"

#include <pthread.h>
#include <stdlib.h>

#include "agent/plan.h"
#include "common/cleanup.h"

struct live_options {
    pthread_mutex_t lock;
    struct live_values values;
};

static uint64_t bytes_of_mib(int mib)
{
    return (uint64_t)mib << 20;
}

int live_options_new(const struct conf *conf, struct live_options **ret_options, struct error *err)
{
    struct live_options *options = calloc(1, sizeof(*options));
    if (!options)
        return error_nomem(err);
    (void)pthread_mutex_init(&options->lock, NULL);
    live_options_set(options, conf);
    *ret_options = options;
    return 0;
}

void live_options_free(struct live_options *options)
{
    if (options)
        (void)pthread_mutex_destroy(&options->lock);
    free(options);
}

void live_options_set(struct live_options *options, const struct conf *conf)
{
    LOCK_SCOPE(&options->lock);
    options->values = (struct live_values){
        .wanted_method = plan_wanted_method(conf),
        .disk_bytes_per_s = bytes_of_mib(conf->snapshot_agent.disk_rate_limit),
        .upload_bytes_per_s = bytes_of_mib(conf->snapshot_agent.upload_rate_limit),
    };
}

struct live_values live_options_get(struct live_options *options)
{
    LOCK_SCOPE(&options->lock);
    return options->values;
}

uint64_t live_options_disk_share(const struct conf *conf)
{
    uint64_t own = bytes_of_mib(conf->snapshot_agent.disk_rate_limit);
    uint64_t all = bytes_of_mib(conf->snapshot_agent.disk_rate_limit_host);
    int snapshots = conf->DEFAULT.max_concurrent_snapshots;
    uint64_t share = all / (uint64_t)(snapshots > 0 ? snapshots : 1);
    return own == 0 || (share != 0 && share < own) ? share : own;
}
