/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The task states an operation goes through, and what is done when one is refused. Belongs to the
 * worker thread that serves the request.
 */
#pragma once

#include "agent/operation.h"

/*
 * Saves the next task state, expecting the present one. Errors as report_task_state(). A state that
 * was cleared meanwhile, as nova-compute does when it starts, is taken for the present one; but for
 * the first move only while the image is untouched, or somebody has served the request before. The
 * next state itself is taken for our own save's, which was executed though it was refused, when
 * nobody else has begun the request, nor is at a later one. One that nova-api has set for the
 * request behind this one is left as it is: what it waits for goes on. At the end only
 * the progress beside it is put back.
 */
int operation_state_move_to(struct operation *op, const char *task_state, struct error *err);

/* The image is there: clears the task state, and tells. */
int operation_state_conclude(struct operation *op, struct error *err);
