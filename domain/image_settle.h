/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an image that was written under another name gets its own, or goes; also that of a command
 * that has died. On one thread.
 *
 * Its note in the record: {partial, path, folder: the inode of the folder of both}.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"

/* The note of an image. Returned owned; ENOENT when its folder is not there. */
int image_settle_note(const char *partial, const char *path, json_t **ret_note, struct error *err);

/*
 * Gives the image its name for good, when it is whole (`complete`), else removes it; to be called
 * again after a failure. Nobody else's file is replaced: EEXIST. ENOENT when nobody can tell what
 * became of it, as when its storage is not mounted.
 */
int image_settle(const json_t *note, bool complete, struct error *err);
