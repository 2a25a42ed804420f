/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files go with a branch: what a guest has left behind by going back to a checkpoint, and
 * nothing needs but the checkpoint that is deleted. Pure but for looks at files. On one thread.
 *
 * A branch is {branch: true, snapshot: the checkpoint that is deleted, or missing, memory: its
 * file, disks, relink}. Of its disks each is {target, gone: the files that go, from the topmost on
 * down, base: {path}: what they stand on, which stays}; files are those of merge_chain.h. `relink`
 * is of the checkpoints that stay (branch_relink.h).
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/error.h"
#include "domain/checkpoint_plan.h"
#include "domain/layer_map.h"

/* Borrowed. */
struct branch_plan_request {
    const char *snapshot; /* NULL: none is deleted, the layers alone that it was made with go */
    const struct checkpoint_disk *disks; /* what they were in it, and those layers */
    size_t disk_count;
    const char *stamp; /* a new layer is <file>-<stamp> */
};

/* Into the map also what stands beside files that may go, and nobody names. */
int branch_plan_look_beside(struct layer_map *map, const struct branch_plan_request *request,
                            struct error *err);

/*
 * The layers that the checkpoint was made with, and those below them down to the first that the
 * guest, its next start or another checkpoint needs, that was not made for a checkpoint, or whose
 * age alone tells that what another one keeps was written to since. EINVAL naming a file that goes
 * and who else needs it, or what is not as libvirt tells of it. Returned owned.
 */
int branch_plan(const struct layer_map *map, const struct branch_plan_request *request,
                json_t **ret_branch, struct error *err);
