/* SPDX-License-Identifier: Apache-2.0 */
/* The qcow2 files that a disk's writes are to go to: made, given to whose the disk is, removed. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/layer_map.h"

/*
 * Makes the file, which nobody has, on `base`, with its size, owner and mode; on disk when it
 * returns 0. EEXIST when there is one of the name; what is half made stays, to be removed.
 */
int new_layer_create(const char *path, const char *base, const char *base_format,
                     struct error *err);

/* The owner and mode of `base`, a file or a block device; nothing to do where it is neither. */
int new_layer_give_owner(const char *path, const char *base, struct error *err);

/* Whether it is a qcow2 file whose header names `base`: nobody else's than who was to make it. */
bool new_layer_is_on(const char *path, const char *base);

/* The same, for whom a file that cannot be read is not none: errors as qemu_img_info(). */
int new_layer_look(const char *path, const char *base, bool *ret_is_on, struct error *err);

enum new_layer_found {
    NEW_LAYER_THERE,
    NEW_LAYER_BEGUN, /* an empty file, whose making has come no further */
    NEW_LAYER_GONE,  /* from the folder that it was to be in */
};

/* `folder` as file_folder.h has it; ENOENT when that is missing or another one. */
int new_layer_find(const char *path, const json_t *folder, enum new_layer_found *ret_found,
                   struct error *err);

/*
 * Removes the file, if there is one: it is known to be ours. Where it is no layer on `base`, has
 * been written to, or somebody of the map needs it, it stays with a warning. Errors as
 * new_layer_find().
 */
int new_layer_remove(const struct layer_map *map, const char *path, const char *base,
                     const json_t *folder, struct error *err);

/* Any file, whatever is in it; one that is needed or written to stays. */
int new_layer_remove_file(const struct layer_map *map, const char *path, const json_t *folder,
                          struct error *err);

/* That of the file: what it is called there is on disk. */
int new_layer_sync_folder(const char *path, struct error *err);
