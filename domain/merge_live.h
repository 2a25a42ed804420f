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
 * Waits for a commit on the disk to end, whoever has asked for it, and has the guest go on on
 * `base` when it is one of this merge and all is in it. 0 when there is none, or no guest any more.
 * EBUSY for a job of another kind; ETIMEDOUT after nothing has moved for `stall_timeout_s`, and
 * ECANCELED: the job is ended then, and the guest as it was. *ret_goes_on: the guest was seen to go
 * on on base; untouched when it was not.
 */
int merge_live_await(virDomainPtr domain, const json_t *disk, unsigned stall_timeout_s,
                     bool *ret_goes_on, struct error *err);
