/* SPDX-License-Identifier: Apache-2.0 */
/* What SIGHUP does. */
#pragma once

#include "agent/agent.h"
#include "conf/conf.h"
#include "conf/sources.h"

/*
 * Reads the sources (borrowed) again and applies what can be changed while the agent runs:
 * [DEFAULT]debug, [DEFAULT]max_concurrent_snapshots, [compute]max_concurrent_disk_ops, and
 * [snapshot_agent]live_snapshot_method and rate limits, for snapshots that begin afterwards (the
 * host's limits: for those under way too). What else
 * differs from agent->conf is named in the log. Nothing changes when a source is bad: that is
 * logged. Main thread.
 */
void reload_configuration(struct agent *agent, const struct conf_sources *sources);

/*
 * conf_compare() of what is in force, which SIGHUP and operators change, with `conf`. debug_modules
 * are left out: what is in force of them nobody keeps. Any thread.
 */
void reload_compare(const struct agent *agent, const struct conf *conf,
                    void (*differs)(void *arg, const char *group, const char *name), void *arg);
