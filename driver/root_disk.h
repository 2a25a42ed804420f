/*
 * Is the root disk what the domain definition says it is? Guests and uploaded images may lie about
 * formats and name files of the host as backing or data files (CVE-2015-7548, CVE-2024-32498); a
 * snapshot would hand those to the tenant.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "driver/domain_xml.h"
#include "driver/driver.h"

struct root_disk_policy {
    const char *instances_path; /* backing files are below it, outside every instance's folder */
    bool deep_image_inspection; /* look into the backing file as if its format were not known */
};

/*
 * Reads the headers of a file or block device and of its backing file, with qemu-img, and fills
 * the disk members of *info: virtual size, cluster size, backing file. InvalidDiskInfo when
 * - the file is not in the format of the definition,
 * - its backing file is not a plain file where nova keeps base images, or is not the one libvirt
 *   opened for the running guest,
 * - the backing file has one itself,
 * - one of them keeps its data in another file, or
 * - a block device or RBD image is not raw, or the latter has a name that is not plain; such an
 *   image is not opened.
 * DiskNotFound when there is no such file.
 */
int root_disk_inspect(const struct domain_description *description,
                      const struct root_disk_policy *policy, struct guest_info *info,
                      struct error *err);
