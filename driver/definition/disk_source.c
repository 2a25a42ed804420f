/* SPDX-License-Identifier: Apache-2.0 */
/* See disk_source.h. */
#include "driver/definition/disk_source.h"

#include <errno.h>
#include <string.h>

#include "driver/ceph/rbd_name.h"

int disk_source_find(const struct guest_info *info, const struct rbd_options *rbd,
                     struct disk_source *ret_source, struct error *err)
{
    if (info->source_type == DISK_SOURCE_PLOOP)
        return error_set(err, ENOTSUP, EXC_INTERNAL_ERROR,
                         "root disk %s is neither a file, a block device nor an RBD image",
                         info->disk_path);
    ret_source->format = info->source_type == DISK_SOURCE_FILE ? info->disk_format : "raw";
    if (info->source_type == DISK_SOURCE_RBD)
        return rbd_name_for_qemu(info->disk_path, rbd, ret_source->path, sizeof(ret_source->path),
                                 err);
    memcpy(ret_source->path, info->disk_path, sizeof(ret_source->path));
    return 0;
}
