/* SPDX-License-Identifier: Apache-2.0 */
/* What qemu-img and qemu-nbd are to read for a root disk. */
#pragma once

#include "common/error.h"
#include "driver/ceph/rbd_options.h"
#include "driver/driver.h"

struct disk_source {
    char path[DRIVER_PATH_MAX]; /* of a file or device, or QEMU's name of an RBD image */
    const char *format;         /* borrowed from the guest_info, or static */
};

/*
 * Thread-safe. ENOTSUP for a disk that is neither a file, a block device nor an RBD image; what
 * rbd_name_for_qemu() fails with. `rbd` is how Ceph is reached.
 */
int disk_source_find(const struct guest_info *info, const struct rbd_options *rbd,
                     struct disk_source *ret_source, struct error *err);
