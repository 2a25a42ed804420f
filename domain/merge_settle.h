/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A merge (merge_plan.h), done step by step from its note in the record, by the command itself and
 * after it has died: the layers, one disk after the other; what libvirt has written down of them;
 * the checkpoint's metadata; the files that nobody names any more. On one thread.
 *
 * Notes of the record:
 *   merge    what is to be merged
 *   merging  of a disk (merge_progress.h): from here on base may hold a part of it, and there is
 *            but the way on
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "domain/session.h"

/*
 * Does what is noted, or what of it is still to be done. To be called again after a failure: until
 * it returns 0 the guest has all it wrote, through the layers that go or without them. EINVAL when
 * somebody has changed the disks since; ESTALE, once, when the layers of the first disk are below
 * others now: they stay, and nothing is noted any more (merge_give_up.h); ENOENT with
 * InstanceNotFound; errors of merge_live.h, merge_rest.h and libvirt.
 */
int merge_settle_run(struct session *session, struct error *err);

/* Whether a file may be other than it was. */
bool merge_settle_has_begun(const struct session *session);
