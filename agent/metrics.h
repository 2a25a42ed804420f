/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Prometheus is told of an agent, in its text format: what has been counted (common/metric.h),
 * and how things are now. Any thread; takes locks that are held for an instant.
 */
#pragma once

struct agent;

/* Answers on [snapshot_agent]metrics_address, if there is to be one; without it the agent serves
 * all the same, with a warning. */
void metrics_listen(struct agent *agent);

/* Owned; NULL without memory. `arg` is a struct agent, as a server's callback has it. */
char *metrics_text(void *arg);
