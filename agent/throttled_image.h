/* SPDX-License-Identifier: Apache-2.0 */
/* An image that is read no faster than the operator allows, and tells how far that is. */
#pragma once

#include <stdint.h>

#include "agent/jobs.h"
#include "common/error.h"
#include "common/image_source.h"
#include "common/throttle.h"

#define SHARED_THROTTLES 2

struct throttled_image {
    struct image_source base;   /* to be read instead; closing it does nothing */
    struct image_source *image; /* borrowed */
    struct throttle *own;       /* an operator may change it */
    struct throttle *disk;      /* of the guest's disk, whatever an operator allows the upload; who
                                   reads one gives it to the job */
    struct throttle *shared[SHARED_THROTTLES]; /* borrowed; NULL = no limit */
    struct job *job;                           /* borrowed; whose progress it is, and who may be
                                                  limited otherwise meanwhile */
    uint64_t read_bytes;
};

/*
 * Limits it to `bytes_per_s` (0 = none) alone, or what an operator makes of that; to
 * `disk_bytes_per_s` (0 = none) in any case; and with all that share a throttle: set `shared`
 * afterwards. throttled_image_done() ends it, on failure too.
 */
int throttled_image_begin(struct throttled_image *throttled, struct image_source *image,
                          struct job *job, uint64_t bytes_per_s, uint64_t disk_bytes_per_s,
                          struct error *err);
void throttled_image_done(struct throttled_image *throttled);
