/* SPDX-License-Identifier: Apache-2.0 */
/* Which method a snapshot would be taken by, and why not by the others. */
#pragma once

#include <jansson.h>

#include "agent/agent.h"
#include "agent/plan.h"

/*
 * Tries all of them as far as they let themselves be tried (driver_ops.check_plan), chooses as the
 * snapshot would, beginning with `plan`, and adds what it has found to the report, with "method"
 * and "bytes", the most that is written below snapshots_directory.
 */
void doctor_method_look(const struct agent *agent, const struct plan_input *input,
                        const struct snapshot_plan *plan, json_t *report);
