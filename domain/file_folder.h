/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder a file is in: by it a file that has gone is told from one whose storage is not
 * mounted. On one thread. A path without a folder is one in the current folder.
 */
#pragma once

#include <jansson.h>

#include "common/error.h"

/* Its inode, to be noted while it is known to be the right one. ENOENT when it is not there. */
int file_folder_note(const char *path, json_int_t *ret_inode, struct error *err);

/*
 * Of a file that is not there: 0 when it has gone, ENOENT when its folder is missing, or is another
 * than that of `inode`, EAGAIN when it is there after all. NULL: it was not noted, and is whatever
 * folder is there.
 */
int file_folder_check(const char *path, const json_t *inode, struct error *err);

/* What its files are called is on disk, where the file system has that at all. */
int file_folder_sync(const char *path, struct error *err);
