/* SPDX-License-Identifier: Apache-2.0 */
/* The block job of a merge, as libvirt is asked for it: see merge_job.h for who waits for it. */
#pragma once

#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"
#include "driver/volume/chain.h"

/* Starts it on a disk without a job: virDomainBlockRebase (pull) or virDomainBlockCommit. */
int layer_merge_start(virDomainPtr domain, const struct volume_disk *disk,
                      const struct volume_merge_plan *plan, struct error *err);

/*
 * Whether a job of the kind that `plan` needs is on the disk, and how far it is; another kind is
 * not ours.
 */
int layer_merge_find(virDomainPtr domain, const char *disk_target,
                     const struct volume_merge_plan *plan, virDomainBlockJobInfo *ret_job,
                     bool *ret_there, struct error *err);
