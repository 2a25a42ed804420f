/* Makes the agent's parts out of the configuration. */
#pragma once

#include "agent/agent.h"

/*
 * Builds everything `agent` points to, but conf (borrowed, queries of transport_url are applied to
 * it). Nothing is connected or started yet. On failure what was built is freed.
 */
int setup_agent(struct agent *agent, struct conf *conf, struct error *err);

/* Ends and frees the parts, in the opposite order. No worker may be running. */
void setup_undo(struct agent *agent);
