/* SPDX-License-Identifier: Apache-2.0 */
/* The images an increment stands on: those of a checkpoint's instant (bitmap_checkpoint.h). */
#pragma once

#include <jansson.h>
#include <limits.h>

#include "common/error.h"
#include "domain/image_file.h"
#include "driver/driver.h"
#include "driver/image/qcow2_layout.h"

/*
 * Whether there is one of the disk in `images`, by its mark: ENOENT when the checkpoint called
 * `name` is none of this disk or the file has gone, InvalidDiskInfo when it is another image, or
 * one of a larger disk. That nobody has written to it since is not looked at.
 */
int earlier_image_check(const json_t *images, const struct guest_info *info, const char *name,
                        struct error *err);

/*
 * As the header of `file`, one of a disk that was checked, is to name it: from there where it
 * is in the same folder, so that they can be moved together. Borrows `images` and `path`.
 */
struct qcow2_backing earlier_image_backing(const json_t *images, const struct image_file *file,
                                           char path[static PATH_MAX]);
