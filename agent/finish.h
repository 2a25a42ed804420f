/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a snapshot, after success and failure: everything that has to be true afterwards is
 * made true, step by step, each as often as it takes; an agent that dies meanwhile goes on at its
 * next start.
 */
#pragma once

#include "agent/operation.h"

/*
 * Brings the operation to its end. `failure` is why there is no image, or what went wrong after it
 * was there; its errnum is 0 when nothing did. What cannot be done because a service is away is
 * tried until it can, see temporary.h, and left to the next start when the agent ends before.
 */
void finish_operation(struct operation *op, const struct error *failure);

/* Nothing more can be done now: the record stays for the next start. */
void finish_postpone(struct operation *op, const struct error *why);

/*
 * The agent ends before the operation: its guest is as it was, all else stays as it is, and the
 * record for the next start. What stands behind it in the line of its instance is left as well.
 */
void finish_interrupt(struct operation *op);
