/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at this host, or at how the snapshot of one instance would be taken, for an operator who
 * asks: common/findings.h. In the running agent, or in a process that is none (doctor_program.h).
 * Changes nothing that lasts.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "agent/agent.h"
#include "common/error.h"
#include "conf/sources.h"

struct doctor;

/* All is borrowed. `is_serving`: this process is the host's agent. Returns owned. */
int doctor_new(const struct agent *agent, const struct conf_sources *sources, bool is_serving,
               struct doctor **ret_doctor, struct error *err);

/*
 * The report, owned; NULL when out of memory. `instance` is a UUID or libvirt's name, NULL: the
 * host. One look at a time, others wait for it; it takes seconds, within a minute as a rule. Any
 * thread.
 */
json_t *doctor_look(struct doctor *doctor, const char *instance);

/* A look that is under way ends soon, and none begins any more. NULL-safe. */
void doctor_stop(struct doctor *doctor);

/* Nobody may be looking. NULL-safe. */
void doctor_free(struct doctor *doctor);
