/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a copy that a guest writes to all the time comes to its end: what is written meanwhile
 * has to be copied as well, QEMU adds it to the end. Knows no libvirt call.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct copy_progress {
    uint64_t copied_bytes;         /* at the last look; 0: QEMU still looks for the data */
    uint64_t end_bytes;            /* at the last look */
    uint64_t least_left_bytes;     /* the nearest it was to its end, */
    uint64_t nearer_at_ms;         /* when that was, */
    uint64_t copied_by_then_bytes; /* and what had been copied */
    uint64_t most_left_bytes;      /* the farthest it was since */
};

/* Of a copy that begins now. */
struct copy_progress copy_progress_begin(void);

/*
 * Takes the numbers of a look. True when the copy runs behind: more than half of what was copied
 * since the last look was written in that time.
 */
bool copy_progress_note(struct copy_progress *progress, uint64_t copied_bytes, uint64_t end_bytes);

/* Counts anew from here, after the limit was lifted. */
void copy_progress_again(struct copy_progress *progress);

/*
 * ETIMEDOUT when the copy has not come nearer to its end for stall_timeout_s. After a burst of
 * writes of the guest a quarter of the way back counts as nearer, too.
 */
int copy_progress_check(const struct copy_progress *progress, const char *disk_target,
                        unsigned stall_timeout_s, struct error *err);
