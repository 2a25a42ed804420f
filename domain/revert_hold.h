/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest that was paused to go back to a checkpoint. By the notes of revert_settle.h. On one
 * thread.
 */
#pragma once

#include "common/error.h"
#include "domain/checkpoint_plan.h"
#include "domain/session.h"

/* From here to its end the guest writes nothing: `left`, of what is now, is then that of one that
 * is paused. Nothing to do where it does not run. */
int revert_hold_begin(struct session *session, struct checkpoint_plan *left, struct error *err);

/* It is the guest of then, and paused; that nobody else has paused it is told where libvirt can. */
bool revert_hold_lasts(const struct session *session);

/* It runs on, if it ran and is still held. Nothing to do, 0, otherwise. */
int revert_hold_end(const struct session *session, struct error *err);

/* Logs that a guest stays paused, by this, for all that is noted, or by somebody else since. */
void revert_hold_warn(const struct session *session);
