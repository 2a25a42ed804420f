/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deletion of a checkpoint in the way that its record notes: layers that are merged
 * (merge_settle.h), a branch that goes (branch_settle.h), or what is inside the disks' own files
 * (internal_delete.h). On one thread.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "domain/session.h"

/* Does what is noted, or what of it is still to be done; errors of that way. */
int deletion_settle_run(struct session *session, struct error *err);

/* Whether anything may be other than it was. */
bool deletion_settle_has_begun(const struct session *session);

/* The same of a command that has died: nothing to do unless it has begun. What is given up, or of a
 * domain that has gone, is told of and no failure. Sets the session's outcome. */
int deletion_settle(struct session *session, struct error *err);
