/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a volume and their order. Cinder calls them by their names in the volume's
 * directory, which are taken for nothing but names here. Thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "driver/driver.h"
#include "driver/volume/disk.h"

/*
 * Joins a name that came from Cinder to the directory of the volume's first layer; returned owned.
 * InternalError when it is no plain name of a file: empty, "." or "..", longer than file names are,
 * with a '/', a ':' (QEMU would see a protocol), a control character or bytes that are not UTF-8.
 */
int volume_chain_join(const struct volume_disk *disk, const char *name, char **ret_path,
                      struct error *err);

/*
 * Reads the layers below the first one out of the files' headers, for a guest that does not run.
 * Only the first layer's format is taken from the definition; each header names the next layer with
 * its format, and nothing is guessed. InvalidDiskInfo when one names no format, a file that is not
 * in the first one's directory, or a data file; DiskNotFound when a file is missing.
 */
int volume_chain_read_headers(struct volume_disk *disk, struct error *err);

/* -EINVAL and InvalidDiskInfo: what is wrong with a volume's file, said as nova says it. */
int volume_chain_invalid(struct error *err, const char *path, const char *what);

/* The layers [first, end) go: by commit into layer `end`, else by pull into layer `first` - 1. */
struct volume_merge_plan {
    bool commit;
    size_t first, end; /* equal: there is nothing to do */
};

/*
 * What `merge` means for this chain; nothing when the layer has gone already. InternalError when a
 * name is not in the chain, when more than one named layer would go (Cinder keeps a record of
 * each), or when the layer the guest writes to would be committed.
 */
int volume_chain_plan(const struct volume_disk *disk, const struct volume_merge *merge,
                      struct volume_merge_plan *ret_plan, struct error *err);

/* True when `now` is `before` without the layers that had to go. */
bool volume_chain_is_merged(const struct volume_disk *before, const struct volume_merge_plan *plan,
                            const struct volume_disk *now);
