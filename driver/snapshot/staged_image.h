/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an image is uploaded from, in the journal: written down when it is whole, found again by a
 * later process; and what making it needs. On the thread of the snapshot.
 */
#pragma once

#include <jansson.h>

#include "common/error.h"
#include "common/image_source.h"
#include "driver/driver.h"
#include "driver/image/disk_space.h"
#include "driver/image/qemu_img.h"
#include "driver/image/staging.h"
#include "driver/libvirt_driver_private.h"

enum staged_image_kind {
    STAGED_FILE,    /* the image itself, at staging_image_path() */
    STAGED_OVERLAY, /* a qcow2 file that it is made from, at staging_delta_path() */
};

/*
 * Reserves room for the bytes a snapshot writes (disk_space_need()): see disk_space_reserve(). NULL
 * for `ret_space`: it is only asked whether it could be, disk_space_fits().
 */
int staged_image_reserve(const struct staging *staging, uint64_t bytes,
                         const struct libvirt_driver *driver, struct disk_space **ret_space,
                         struct error *err);

/* How the image that is planned is converted at the driver's rate; the source is to be filled in.
 * Borrows all of them. */
struct qemu_img_conversion staged_image_conversion(const struct staging *staging,
                                                   const struct snapshot_plan *plan,
                                                   const struct libvirt_driver *driver);

/* Writes it down; `format` is the image's. */
int staged_image_write(const struct driver_journal *journal, const struct staging *staging,
                       enum staged_image_kind kind, const char *format, struct error *err);

/*
 * The image of `format` (see image_stream.h) that is made from the overlay while it is read, or, if
 * no qemu-nbd can show it, converted from it first. Takes `staging` on success: closing the source
 * removes everything.
 */
int staged_image_open_overlay(struct staging *staging, const char *format,
                              const struct libvirt_driver *driver, struct image_source **ret_image,
                              struct error *err);

/* EINVAL when `entry` is none, or tells of a file elsewhere than `staging` has them. */
int staged_image_check(const struct staging *staging, const json_t *entry, struct error *err);

/*
 * The image of an entry that was checked, with `staging` taken as staging_open_image() does.
 * *ret_image is NULL, and `staging` not taken, when the file is not the one that was written down:
 * another file, another size, changed since.
 */
int staged_image_find(struct staging *staging, const json_t *entry,
                      const struct libvirt_driver *driver, struct image_source **ret_image,
                      struct error *err);
