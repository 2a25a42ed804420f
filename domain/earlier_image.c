/* SPDX-License-Identifier: Apache-2.0 */
/* See earlier_image.h. */
#include "domain/earlier_image.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "driver/image/qcow2_mark.h"
#include "driver/image/qemu_img.h"

int earlier_image_check(const json_t *images, const struct guest_info *info, const char *name,
                        struct error *err)
{
    struct qemu_img_info header = {0};
    struct qcow2_marks found;
    const json_t *image = json_object_get(images, info->disk_target);
    const char *path = json_string_member(image, "path");
    const char *format = json_string_member(image, "format");
    const char *mark = json_string_member(image, "mark");
    if (!path || !format || !mark)
        return error_set(err, ENOENT, EXC_INTERNAL_ERROR,
                         "there is no image of disk %s at checkpoint %s: make a full one first",
                         info->disk_target, name);
    if (access(path, F_OK) < 0)
        return error_errno(err, errno, "%s, the image of disk %s at checkpoint %s", path,
                           info->disk_target, name);
    int r = qcow2_mark_read(path, &found, err);
    if (r == 0 && strcmp(found.own, mark) != 0)
        return error_set(err, EINVAL, EXC_INVALID_DISK_INFO,
                         "%s is another image than the one of disk %s at checkpoint %s", path,
                         info->disk_target, name);
    if (r == 0)
        r = qemu_img_info(path, format, &header, err);
    if (r < 0)
        return r;
    return header.virtual_size_bytes <= info->virtual_size_bytes
               ? 0
               : error_set(err, EINVAL, EXC_INVALID_DISK_INFO,
                           "%s is an image of %" PRIu64 " bytes: disk %s is smaller", path,
                           header.virtual_size_bytes, info->disk_target);
}

struct qcow2_backing earlier_image_backing(const json_t *images, const struct image_file *file,
                                           char path[static PATH_MAX])
{
    const json_t *image = json_object_get(images, file->target);
    const char *earlier = json_string_member(image, "path");
    const char *slash = strrchr(earlier, '/');
    size_t folder = slash ? (size_t)(slash - earlier) + 1 : 0;
    const char *own = strrchr(file->path, '/');
    bool same = own && (size_t)(own - file->path) + 1 == folder &&
                strncmp(earlier, file->path, folder) == 0;
    /* QEMU takes what is before a colon for a protocol, unless a slash comes first. */
    (void)snprintf(path, PATH_MAX, "%s%s", same ? "./" : "", same ? slash + 1 : earlier);
    return (struct qcow2_backing){path, json_string_member(image, "format"),
                                  json_string_member(image, "mark")};
}
