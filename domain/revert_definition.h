/* SPDX-License-Identifier: Apache-2.0 */
/* A domain's definition whose disks go on in other files. Pure: no libvirt call, no file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "domain/checkpoint_plan.h"

/*
 * Each disk to its `overlay`, qcow2, whose header tells the layers below; where `is_at_base`, from
 * its `base`. A memory's definition is of when it was saved: layers may have been merged since.
 * *ret_xml is owned, as secret as `xml`. EINVAL naming a disk that is elsewhere or missing.
 */
int revert_definition_switch(const char *xml, const struct checkpoint_disk *disks,
                             size_t disk_count, bool is_at_base, char **ret_xml, struct error *err);

/*
 * Whether the disks are at their overlays, and, where `with_base`, those on their bases, as libvirt
 * tells of a guest that runs: EINVAL naming one that is not.
 */
int revert_definition_check(const char *xml, const struct checkpoint_disk *disks, size_t disk_count,
                            bool with_base, struct error *err);
