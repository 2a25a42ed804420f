/* SPDX-License-Identifier: Apache-2.0 */
/* See merge_rest.h. */
#include "domain/merge_rest.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "domain/image_check.h"
#include "domain/merge_chain.h"
#include "driver/image/qemu_img.h"

static int check_not_written(const json_t *file, struct error *err)
{
    return file && qemu_img_is_written(merge_chain_path(file))
               ? error_set(err, EBUSY, EXC_INTERNAL_ERROR, "a QEMU writes to %s",
                           merge_chain_path(file))
               : 0;
}

static int check_content(const json_t *file, struct error *err)
{
    const char *format = json_string_member(file, "format");
    return format && image_check_can(format)
               ? image_check_content(merge_chain_path(file), format, err)
               : 0;
}

int merge_rest_write_through(const char *path, struct error *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? error_errno(err, errno, "cannot write %s", path) : 0;
}

static int check_files(const json_t *disk, struct error *err)
{
    const json_t *file, *gone = json_object_get(disk, "gone");
    size_t i;
    int r = check_not_written(json_object_get(disk, "base"), err);
    if (r == 0)
        r = check_not_written(json_object_get(disk, "above"), err);
    json_array_foreach (gone, i, file) {
        if (r == 0)
            r = check_not_written(file, err);
        if (r == 0)
            r = check_content(file, err);
    }
    return r;
}

static int put_above_on_base(const json_t *disk, unsigned stall_timeout_s, struct error *err)
{
    const json_t *above = json_object_get(disk, "above"), *base = json_object_get(disk, "base");
    const struct qemu_img_rebase rebase = {.path = merge_chain_path(above),
                                           .backing_file = merge_chain_path(base),
                                           .backing_format = json_string_member(base, "format"),
                                           .header_alone = true,
                                           .stall_timeout_s = stall_timeout_s};
    int r = above ? qemu_img_rebase(&rebase, err) : 0;
    if (r == 0 && above)
        r = merge_rest_write_through(merge_chain_path(above), err);
    failpoint("merge:rebased");
    return r;
}

int merge_rest(const json_t *disk, unsigned stall_timeout_s, struct error *err)
{
    const json_t *base = json_object_get(disk, "base");
    const char *top = merge_chain_path(json_array_get(json_object_get(disk, "gone"), 0));
    int r = check_files(disk, err);
    if (r == 0)
        r = qemu_img_commit(top, merge_chain_path(base), stall_timeout_s, err);
    if (r == 0)
        r = merge_rest_write_through(merge_chain_path(base), err);
    if (r == 0)
        r = check_content(base, err);
    failpoint("merge:committed");
    return r < 0 ? r : put_above_on_base(disk, stall_timeout_s, err);
}
