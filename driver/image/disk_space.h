/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room for what a snapshot writes: known before the guest is touched, reserved in an account that
 * all snapshots of the process share, and watched while they write. The guests' disks often lie on
 * the same file system: what must stay free is theirs. Thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "driver/driver.h"
#include "driver/image/staging.h"

struct disk_space;

/* What a snapshot may write. */
enum disk_space_part {
    DISK_SPACE_ROOM = 1,    /* what the guest writes meanwhile */
    DISK_SPACE_OVERLAY = 2, /* as large as the data in the disk's top layer */
    DISK_SPACE_IMAGE = 4,   /* as large as the data in the chain */
};

/*
 * The most that `parts` are expected to be, by what `qemu-img measure` finds in the disk; by what
 * its files take where that fails. 0 for a disk that is no file: what is in it is not known.
 */
int disk_space_need(const struct guest_info *info, unsigned parts, uint64_t *ret_bytes,
                    struct error *err);

/*
 * Reserves `needed_bytes` on the file system of the staging, whose directory may not be made yet.
 * InternalError (ENOSPC) with what is needed, free and reserved when it would not leave
 * `keep_free_bytes`. From then on, when less than that is free, the youngest of the snapshots there
 * is cancelled, by the cancellation that its thread has entered. Borrows `staging` and the
 * cancellation until disk_space_release(). Returns owned.
 */
int disk_space_reserve(const struct staging *staging, uint64_t needed_bytes,
                       uint64_t keep_free_bytes, struct disk_space **ret_space, struct error *err);

/* What was reserved. */
uint64_t disk_space_bytes(const struct disk_space *space);

/*
 * InternalError (ENOSPC) when less than keep_free_bytes is free now, or next to nothing: the end of
 * what has been written may be missing. Asked after a block copy was ended: one that failed in that
 * moment for want of space is reported as ended by libvirt 9.0.
 */
int disk_space_check(const struct disk_space *space, struct error *err);

/* Gives the reservation back and ends the watch. NULL-safe. */
void disk_space_release(struct disk_space *space);
