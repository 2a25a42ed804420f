/* SPDX-License-Identifier: Apache-2.0 */
/* The disks of a domain that images are made of, each as its definition and its headers say. */
#pragma once

#include <stddef.h>

#include "common/error.h"
#include "domain/session.h"

#define SOURCE_DISKS_MAX 32

struct source_disks {
    struct guest_info *infos; /* owned; each as driver_ops.inspect tells of a root disk */
    size_t count;             /* at least 1 */
};

/*
 * Reads the disk with the target `target`, the first hard disk where that is NULL, or `all` hard
 * disks. EINVAL when there is none, or one is neither a file nor a block device;
 * InvalidDiskInfo as root_disk_inspect(), but layers may be anywhere. Free with
 * source_disks_done(), also after a failure.
 */
int source_disks_read(const struct session *session, const char *target, bool all,
                      struct source_disks *ret_disks, struct error *err);

void source_disks_done(struct source_disks *disks);
