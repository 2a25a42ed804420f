/* SPDX-License-Identifier: Apache-2.0 */
/* What has become of a request for images. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "domain/image_file.h"

struct image_report {
    struct image_file *files; /* owned, in the order of the domain's disks */
    size_t count;
    const char *method; /* static: of enum snapshot_method */
    bool quiesced;
    char instant[sizeof("2026-01-31T23:59:59Z")]; /* in UTC; "": of a guest that does not run */
    unsigned guest_paused_ms;                     /* by method cold */
};

/* The disks are now what the images will be. */
void image_report_set_instant(struct image_report *report);

/* Frees what is in it. */
void image_report_done(struct image_report *report);
