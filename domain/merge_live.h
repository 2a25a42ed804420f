/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A merge of one disk (merge_plan.h) while its guest runs or is paused: QEMU's block commit, asked
 * for through libvirt. On one thread.
 */
#pragma once

#include <jansson.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"

/*
 * Asks for it, by the layers' names: a call that comes late finds none of them. What it has come to
 * the chain tells, after merge_live_await().
 */
int merge_live_start(virDomainPtr domain, const json_t *disk, struct error *err);

/*
 * Waits for a commit on the disk to end, whoever has asked for it, or, of one of this merge, until
 * all is in `base`, which stays in step from then on: *ret_ready is true then, else untouched; it
 * is false before. 0 also when there is no commit, or no guest any more. EBUSY for a job of another
 * kind; ETIMEDOUT after nothing has moved for `stall_timeout_s`, and ECANCELED: the job is ended
 * then, and the guest as it was.
 */
int merge_live_await(virDomainPtr domain, const json_t *disk, unsigned stall_timeout_s,
                     bool *ret_ready, struct error *err);

/* Has the guest go on on `base`, which is ready. */
int merge_live_pivot(virDomainPtr domain, const json_t *disk, struct error *err);
