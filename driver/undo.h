/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rollback of an operation: a table of steps that all run, whatever became of the others, each
 * twice if need be. Each step looks for what it is to take back, since it may never have been
 * there. The same table runs on every exit of the operation and for a process that has died.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

/* `op` is what undo_run() was given. */
struct undo_step {
    const char *name; /* for the log: what it does */
    int (*run)(void *op, struct error *err);
};

struct undo {
    const struct undo_step *steps;
    size_t count;

    /* A step to run before one that has failed is tried again: what it knew may have changed. When
     * this fails that one is not tried. NULL: nothing is. */
    int (*refresh)(void *op, struct error *err);

    /* Whether nothing is left to undo, asked behind each step with what it returned. NULL: no. */
    bool (*is_over)(const void *op, int r);

    int final_errnum; /* of a failure that another try would not change; 0: none */
};

/*
 * Runs the steps in order, with cancellation held off; on the thread of the operation. Each step's
 * last error is joined to *err, which may hold that of the operation already and keeps it first.
 * Returns 0, or -errno of the first step that failed.
 */
int undo_run(const struct undo *undo, void *op, struct error *err);
