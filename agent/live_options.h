/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What SIGHUP changes of the way snapshots are taken; struct conf itself is read by all threads
 * without a lock and stays what it was. Thread-safe.
 */
#pragma once

#include <stdint.h>

#include "conf/conf.h"
#include "driver/driver.h"

struct live_options;

/* [snapshot_agent]live_snapshot_method, disk_rate_limit, upload_rate_limit; 0 = no limit. */
struct live_values {
    enum snapshot_method wanted_method;
    uint64_t disk_bytes_per_s;
    uint64_t upload_bytes_per_s;
};

/* Returns owned. */
int live_options_new(const struct conf *conf, struct live_options **ret_options, struct error *err);
void live_options_free(struct live_options *options); /* NULL-safe */

/* From now on they are those of `conf`, which is not kept. */
void live_options_set(struct live_options *options, const struct conf *conf);

struct live_values live_options_get(struct live_options *options);

/*
 * What each snapshot may read of its disk, in bytes per second, when as many are staged at the same
 * time as there may be; 0 = no limit.
 */
uint64_t live_options_disk_share(const struct conf *conf);
