/* SPDX-License-Identifier: Apache-2.0 */
/* An operation that an agent which died had begun, from where that left it to its end. */
#pragma once

#include "agent/operation.h"

/*
 * `op` as operation_restore() has made it. The guest is brought back first; then a finished image
 * goes to Glance, and one that Glance has is kept; everything else is a failure. False for what an
 * agent that ended in order has interrupted: nothing is left of it, and the caller begins it again.
 */
bool resume_operation(struct operation *op);
