/* SPDX-License-Identifier: Apache-2.0 */
/* What an image is wanted of, and whether that makes sense. */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "domain/image_file.h"

/* Strings are borrowed. */
struct image_request {
    const char *output;     /* a file, with all_disks a folder; NULL: standard output */
    const char *disk;       /* its target; NULL: the first */
    bool all_disks;         /* each as <output>/<target>.<format> */
    const char *format;     /* raw, qcow2, vmdk, vdi; NULL: qcow2 */
    bool compress;          /* qcow2 */
    const char *method;     /* stream, blockcopy, blockrebase, cold; NULL: whatever keeps the guest
                               running */
    bool quiesce;           /* or fail */
    const char *checkpoint; /* the name of one to be made at the same instant; NULL: none */
    const char *since;      /* the name of one: an increment on the images of its instant */
    const struct image_observer *observer;
};

/* EINVAL naming the options that do not go together, or are none. */
int image_request_check(const struct image_request *request, struct error *err);

const char *image_request_format(const struct image_request *request);

/* Whether it takes a job of its own, of whose instant several things are: disks, a checkpoint. */
bool image_request_is_of_set(const struct image_request *request);
