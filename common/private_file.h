/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders and files that are this process's own user's alone, because what is in them is obeyed,
 * and secret. Whoever could write them would command it, and it runs as root as a rule.
 */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "common/error.h"

#define PRIVATE_FILE_FOLDER_SIZE (PATH_MAX - NAME_MAX - 1) /* with room for a file's name */

/*
 * Opens a folder, making it (0700) when missing. EPERM, naming path, owner and mode, unless it is
 * ours and for nobody else, and unless only root and we can put another one in its place: all
 * folders above it are root's or ours, and nobody else may write them but where they are sticky.
 * The folder itself may not be a symbolic link.
 */
int private_file_open_folder(const char *path, int *ret_fd, struct error *err);

/*
 * Whether it is such a folder, for root's eyes: another user's will do, whose it is then. Anybody
 * else judges for himself. Makes nothing.
 */
int private_file_judge_folder(const char *path, uid_t *ret_owner, struct error *err);

/* The folder <state_dir>/<host>.<what>; ENAMETOOLONG when that is too long. */
int private_file_open_state_folder(const char *state_dir, const char *host, const char *what,
                                   char ret_path[static PRIVATE_FILE_FOLDER_SIZE], int *ret_fd,
                                   struct error *err);

/*
 * Opens a file in such a folder with openat()'s flags; made with 0600 where they say so. EPERM
 * unless it is a regular file with one name, ours and for nobody else; -ELOOP for a symbolic link.
 * `folder` is the folder's path, for messages. O_TRUNC would come before the check: not to be used.
 */
int private_file_open(int folder_fd, const char *folder, const char *name, int flags, int *ret_fd,
                      struct error *err);
