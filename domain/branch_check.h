/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps the files of a branch (branch_plan.h) from going, besides who names them. On one
 * thread. */
#pragma once

#include <jansson.h>

#include "common/error.h"
#include "domain/checkpoint_plan.h"
#include "domain/layer_map.h"

/*
 * EINVAL naming a file that is no plain one of its own, that a QEMU writes to (EBUSY), that the
 * memory of another checkpoint of the domain names, or a layer of the checkpoint that holds what no
 * checkpoint keeps.
 */
int branch_check(const struct layer_map *map, const json_t *branch,
                 const struct checkpoint_disk *disks, size_t disk_count, struct error *err);
