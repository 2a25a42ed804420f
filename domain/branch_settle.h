/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A branch (branch_plan.h) that goes, step by step from its note in the record, by the command
 * itself and after it has died: other checkpoints get other layers in place of those that go, then
 * libvirt forgets the checkpoint, then the files go that nobody names any more. On one thread.
 *
 * Notes of the record:
 *   branch     what is to go
 *   dropping   from here on there is but the way on
 *   forgotten  libvirt knows the checkpoint no more
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "domain/session.h"

/*
 * Does what is noted, or what of it is still to be done. To be called again after a failure. EINVAL
 * when somebody needs a file by now and libvirt knows the checkpoint still: all stays, and nothing
 * is noted any more; ENOENT with InstanceNotFound; errors of libvirt and of layer_map_read().
 */
int branch_settle_run(struct session *session, struct error *err);

/* Whether anything may be other than it was. */
bool branch_settle_has_begun(const struct session *session);
