/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver_ops.recover for each method: fills the operation from the journal's entries and runs the
 * rollback that the operation itself would have run. For driver/ only.
 *
 * An entry "begin" has the members method ("live", "cold" or "direct"), uuid and quiesce; the other
 * ones are written and read by the method's own file. All say what was about to be done, so that
 * each step is looked up before it is taken back. A step needs its own members alone: one that
 * cannot be understood keeps no other step from being done.
 */
#pragma once

#include "common/error.h"
#include "common/image_source.h"
#include "driver/driver.h"
#include "driver/image/staging.h"
#include "driver/journal.h"
#include "driver/libvirt_driver_private.h"

/* driver_ops.recover */
int libvirt_recover(struct libvirt_driver *driver, const struct driver_recovery *wanted,
                    struct image_source **ret_image, struct error *err);

/* What is known of the snapshot that is to be undone. All is borrowed but staging and image. */
struct recovery {
    struct libvirt_driver *driver;
    const struct driver_recovery *wanted;
    struct driver_entries entries;
    struct guest_info *info;    /* has the uuid, and is filled further */
    struct staging *staging;    /* what extract was to make; NULL: nobody knows */
    struct image_source *image; /* what it had finished */
};

/*
 * Each method's rollback, with what the entry "begin" says. EINVAL when the entry lacked something,
 * and the rest has been done; other errors when the guest or the cluster is not back yet. None
 * touches the staging or the image.
 */
int libvirt_live_recover(struct recovery *recovery, struct error *err);
int libvirt_cold_recover(struct recovery *recovery, struct error *err);
int libvirt_direct_recover(struct recovery *recovery, struct error *err);
