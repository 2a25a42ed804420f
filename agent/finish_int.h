/* SPDX-License-Identifier: Apache-2.0 */
/* What finish.c and finish_steps.c share. */
#pragma once

#include "agent/finish.h"

/* What the steps know of each other. */
struct finish {
    struct operation *op;
    const struct error *failure; /* errnum 0: none */
    struct error told;           /* what tenant and operator are told of; errnum 0: success */
    struct error unreadable;     /* the driver does not understand what was noted for it */
};

/* Does the step (enum finish_step) unless it is done. Fails with what it has to wait for. */
int finish_steps_run(struct finish *run, unsigned step, struct error *err);
