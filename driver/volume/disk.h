/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Cinder volume as a disk of a guest: its chain of files, and the guest's other disks. Pure: no
 * libvirt call, no file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "driver/driver.h"

/* libvirt follows no longer chain (virStorageSourceGetMetadata). */
#define VOLUME_LAYERS_MAX 200

struct volume_layer {
    char *path; /* owned; "" = not a file */
    char format[DRIVER_FORMAT_MAX];
    int index; /* libvirt's name for it is target[index]; -1 = it has none */
};

struct volume_disk {
    char target[DRIVER_FORMAT_MAX]; /* vdb */
    struct volume_layer *layers;    /* owned; the first is the one the guest writes to */
    size_t layer_count;             /* at least 1 */
    bool chain_known;               /* the last layer is the end of the chain */
    char **other_targets;           /* owned: every other disk of the guest */
    size_t other_count;
};

/*
 * Finds the disk whose <serial> is `volume_id` in a domain definition. InternalError when there is
 * none or more than one, or the definition is not good. Returns owned.
 */
int volume_disk_parse(const char *xml, const char *volume_id, struct volume_disk **ret_disk,
                      struct error *err);

/* Puts a layer below the last one. `path` and `format` are copied. E2BIG for too many. */
int volume_disk_add_layer(struct volume_disk *disk, const char *path, const char *format, int index,
                          struct error *err);

/* Forgets all layers but the first. */
void volume_disk_drop_chain(struct volume_disk *disk);

/* NULL-safe. */
void volume_disk_free(struct volume_disk *disk);
