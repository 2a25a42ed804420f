/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that becomes a volume's new first layer. Cinder makes it; what it says of itself is
 * believed by libvirt and QEMU from the guest's next start on, so it is checked here.
 * Thread-safe.
 */
#pragma once

#include "common/error.h"
#include "driver/volume/disk.h"

/*
 * Looks for `new_file` beside the first layer and returns its path, owned. InternalError,
 * InvalidDiskInfo or DiskNotFound when the name is no plain file name or the file is not a regular
 * qcow2 file at least as large as the volume, with its data in itself, whose backing file is the
 * first layer in the format the guest uses.
 */
int volume_overlay_check(const struct volume_disk *disk, const char *new_file, char **ret_path,
                         struct error *err);

/*
 * The <domainsnapshot> for virDomainSnapshotCreateXML that puts the file at `path` on the volume
 * and leaves every other disk alone. Returns owned.
 */
int volume_overlay_snapshot_xml(const struct volume_disk *disk, const char *path, char **ret_xml,
                                struct error *err);
