/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operators see of the agent, as JSON; docs/design.md says what may change in it. Any thread;
 * it waits for nobody but for locks that are held for an instant. Returned values are owned, NULL
 * when there is no memory.
 */
#pragma once

#include <jansson.h>

struct agent;

/* Names of enum log_level, NULL-ended. */
extern const char *const operator_view_log_levels[];

/* {"healthy": bool, "reasons": [...]} */
json_t *operator_view_health(const struct agent *agent);

json_t *operator_view_status(const struct agent *agent);

/* The requests under way, the oldest first; with `id`, a number or an image's id, that one alone.
 */
json_t *operator_view_jobs(const struct agent *agent, const char *id);
