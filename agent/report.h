/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tenant and the operator see of a request: task and power state, the action's event,
 * faults and notifications, through nova-conductor and the notification topics, as nova-compute
 * does it (nova.compute.manager decorators, nova.compute.utils).
 */
#pragma once

#include "agent/agent.h"
#include "agent/conductor.h"
#include "agent/instance.h"
#include "driver/driver.h"

/* Who reports about what. All pointers are borrowed for the life of the request. */
struct report {
    const struct agent *agent;
    const struct request_context *context; /* as it came: for events, faults and Glance */
    const struct request_context *admin;   /* context.elevated() */
    struct instance *instance;
    const char *method;   /* "snapshot_instance"; its event is "compute_<method>" */
    json_t *args;         /* of the RPC */
    const char *image_id; /* NULL: no image is made */
};

int report_event_start(const struct report *report, struct error *err);

/* `failure` NULL = Success. */
int report_event_finish(const struct report *report, const struct error *failure,
                        struct error *err);

/*
 * Moves the task state when it is one of the `n_expected` states. NULL is the state None. A
 * conflict comes back as UnexpectedTaskStateError or UnexpectedDeletingTaskStateError, a vanished
 * instance as InstanceNotFound.
 */
int report_task_state(const struct report *report, const char *task_state,
                      const char *const *expected, size_t n_expected, struct error *err);

/* What the database holds now. */
int report_read_states(const struct report *report, struct instance_states *ret_states,
                       struct error *err);

int report_power_state(const struct report *report, enum power_state power_state,
                       struct error *err);

int report_fault(const struct report *report, const struct error *failure, struct error *err);

/* compute.instance.snapshot.<phase> and instance.snapshot.<phase>, in the configured formats.
 * `phase` is "start" or "end". */
int report_phase(const struct report *report, const char *phase, struct error *err);

/* The ERROR notifications of a failed method. */
int report_exception(const struct report *report, const struct error *failure, struct error *err);
