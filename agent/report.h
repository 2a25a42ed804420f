/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tenant and the operator see of a request: task and power state, the action's event,
 * faults and notifications, through nova-conductor and the notification topics, as nova-compute
 * does it (nova.compute.manager decorators, nova.compute.utils). Called by the worker that serves
 * the request; each waits for the broker or for conductor's answer.
 */
#pragma once

#include "agent/conductor.h"
#include "agent/instance_request.h"
#include "driver/driver.h"

/* The action event "compute_<method>". */
int report_event_start(const struct instance_request *op, struct error *err);

/* `failure` NULL = Success. */
int report_event_finish(const struct instance_request *op, const struct error *failure,
                        struct error *err);

/* Whether nobody else has begun the request, see conductor_event_is_only(); its event has started.
 */
int report_is_begun_once(const struct instance_request *op, bool *ret_once, struct error *err);

/*
 * Moves the task state when it is one of the `n_expected` states. NULL is the state None, with
 * which the instance's progress is put back to what it was. A
 * conflict comes back as UnexpectedTaskStateError or UnexpectedDeletingTaskStateError, a vanished
 * instance as InstanceNotFound.
 */
int report_task_state(struct instance_request *op, const char *task_state,
                      const char *const *expected, size_t n_expected, struct error *err);

/* Puts the instance's progress back where its task state is another's. Nothing depends on it. */
void report_progress_back(const struct instance_request *op);

/* What the database holds now. */
int report_read_states(const struct instance_request *op, struct instance_states *ret_states,
                       struct error *err);

int report_power_state(struct instance_request *op, enum power_state power_state,
                       struct error *err);

int report_fault(const struct instance_request *op, const struct error *failure, struct error *err);

/* compute.instance.snapshot.<phase> and instance.snapshot.<phase>, in the configured formats.
 * `phase` is "start" or "end". */
int report_phase(struct instance_request *op, const char *image_id, const char *phase,
                 struct error *err);

/* The ERROR notifications of a failed method. */
int report_exception(const struct instance_request *op, const struct error *failure,
                     struct error *err);

/* Logs the failure of a request that has no task state, and notifies of it, as nova's
 * wrap_exception. */
void report_failure(const struct instance_request *op, const struct error *failure);
