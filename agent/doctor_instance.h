/* SPDX-License-Identifier: Apache-2.0 */
/* How the snapshot of one instance would be taken now, and why not otherwise. */
#pragma once

#include <jansson.h>

#include "agent/agent.h"

/*
 * Adds what is found to the report (common/findings.h), as well as "method", the name of the method
 * that would be taken. `name` is a UUID or libvirt's name of the domain. Takes no snapshot, and
 * does nothing to the guest. Any thread but the bus's.
 */
void doctor_instance_look(const struct agent *agent, const char *name, json_t *report);
