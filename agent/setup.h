/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the agent's parts out of the configuration. */
#pragma once

#include "agent/agent.h"
#include "common/error.h"

/*
 * Opens what outlives the agent, in [snapshot_agent]state_dir, which must be there; before
 * setup_agent(), and not when the configuration is only checked. On failure what was built is
 * freed.
 */
int setup_state(struct agent *agent, const struct conf *conf, struct error *err);

/*
 * Builds everything else `agent` points to, but conf (borrowed until setup_undo()). Nothing is
 * connected or started yet. On failure what was built is freed.
 */
int setup_agent(struct agent *agent, const struct conf *conf, struct error *err);

/* Ends and frees the parts, in the opposite order. No worker may be running. */
void setup_undo(struct agent *agent);
