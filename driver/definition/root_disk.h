/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a guest's disks is the instance's root disk, and is it what the domain definition says
 * it is? Guests and uploaded images may lie about formats and name files of the host as backing or
 * data files (CVE-2015-7548, CVE-2024-32498); a snapshot would hand those to the tenant.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "driver/definition/domain_description.h"
#include "driver/driver.h"

struct root_disk_policy {
    const char *instances_path;      /* base images are below it, outside every instance's folder;
                                        NULL: no nova, a layer may be wherever its header says */
    const char *snapshots_directory; /* and outside this one, which may be below it as well */
    bool deep_image_inspection;      /* look into the base image as if its format were not known */
};

/*
 * Finds the disk whose target is the instance's root device, or that has the name nova gives the
 * root disk: instances_path/UUID/disk, UUID_disk on LVM and RBD, also below layers that others have
 * put on it. InternalError (EINVAL) when there is none, when the two are different disks, or when
 * it has the name of another disk of the instance. Source: nova.virt.libvirt.imagebackend (names),
 * nova.virt.libvirt.blockinfo:get_root_info. *ret_disk is borrowed from the description.
 */
int root_disk_find(const struct domain_description *description, const struct guest_id *guest,
                   const char *instances_path, const struct domain_disk **ret_disk,
                   struct error *err);

/* nova.virt.libvirt.utils.get_disk_type_from_path. */
enum disk_source_type root_disk_source_type(const struct domain_disk *disk);

/*
 * Reads the headers of a file or block device and of the layers below it, with qemu-img, and fills
 * the disk members of *info: virtual size, cluster size, first backing file. InvalidDiskInfo when
 * - a layer is not in the format of the definition, or none is named for it,
 * - a layer below the first is no plain file of the instance's own folder or, as the last one,
 *   where nova keeps base images, or is not the one libvirt opened for the running guest,
 * - a base image has a backing file itself,
 * - one of them keeps its data in another file or is encrypted, or
 * - a block device or RBD image is not raw, or the latter has a name that is not plain; such an
 *   image is not opened.
 * DiskNotFound when there is no such file.
 */
int root_disk_inspect(const struct domain_disk *disk, const char *uuid,
                      const struct root_disk_policy *policy, struct guest_info *info,
                      struct error *err);
