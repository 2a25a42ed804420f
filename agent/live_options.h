/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What SIGHUP and an operator change of the way snapshots are taken; struct conf itself is read by
 * all threads without a lock and stays what it was. Thread-safe.
 */
#pragma once

#include <stdint.h>

#include "conf/conf.h"
#include "driver/driver.h"

struct agent;
struct live_options;

/* [snapshot_agent]live_snapshot_method and the rate limits of one snapshot and of the host; 0 = no
 * limit. */
struct live_values {
    enum snapshot_method wanted_method;
    uint64_t disk_bytes_per_s, disk_host_bytes_per_s;
    uint64_t upload_bytes_per_s, upload_host_bytes_per_s;
};

struct live_values live_options_of(const struct conf *conf);

/* Returns owned. */
int live_options_new(const struct conf *conf, struct live_options **ret_options, struct error *err);
void live_options_free(struct live_options *options); /* NULL-safe */

/* From now on they are these. */
void live_options_set(struct live_options *options, const struct live_values *values);

struct live_values live_options_get(struct live_options *options);

/*
 * What each snapshot may read of its disk, in bytes per second, when `snapshots` are staged at the
 * same time; 0 = no limit.
 */
uint64_t live_options_disk_share(const struct live_values *values, unsigned snapshots);

/*
 * Changes what they are now, for all parts of the agent that go by them, with a line of the log.
 * One change at a time: none is lost to another. `change` may call nothing of these.
 */
void live_options_change(struct agent *agent,
                         void (*change)(struct live_values *values, const void *arg),
                         const void *arg);
