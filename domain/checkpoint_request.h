/* SPDX-License-Identifier: Apache-2.0 */
/* What a checkpoint with a way back (virDomainSnapshot) is to be. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

/* Strings are borrowed. */
struct checkpoint_request {
    const char *name; /* NULL: the time, in UTC */
    bool disk_only;   /* else the memory of a guest that has any is kept */
    bool memory;      /* a guest that has none is refused */
    bool internal;    /* in the disks' own qcow2 files */
    bool live;        /* the guest runs on while its memory is written */
    bool halt;        /* it is stopped at that instant */
    bool quiesce;     /* its filesystems are frozen for the instant */
    bool force; /* in layers of a server of nova's, or that the next start lacks; of a guest saved
                   to a file; where there is no way back, or no merge */
    const char *const *disks; /* "vda=FILE": where the guest writes to from then on */
    size_t disk_count;
    const char *memory_file; /* NULL: beside the first disk */
};

/* InvalidInput (EINVAL) when it makes no sense, whatever the domain is. */
int checkpoint_request_check(const struct checkpoint_request *request, struct error *err);

/* The FILE that is given for the disk, borrowed; NULL when there is none. */
const char *checkpoint_request_file(const struct checkpoint_request *request, const char *target);
