/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders and files that are the agent's own user's alone, because what is in them is obeyed, and
 * secret. Whoever could write them would command the agent, which runs as root as a rule.
 */
#pragma once

#include "common/error.h"

/*
 * Opens a folder, making it (0700) when missing. EPERM, naming path, owner and mode, unless it is
 * ours and for nobody else, and unless only root and we can put another one in its place: all
 * folders above it are root's or ours, and nobody else may write them but where they are sticky.
 * The folder itself may not be a symbolic link.
 */
int private_file_open_folder(const char *path, int *ret_fd, struct error *err);

/*
 * Opens a file in such a folder with openat()'s flags; made with 0600 where they say so. EPERM
 * unless it is a regular file with one name, ours and for nobody else; -ELOOP for a symbolic link.
 * `folder` is the folder's path, for messages. O_TRUNC would come before the check: not to be used.
 */
int private_file_open(int folder_fd, const char *folder, const char *name, int flags, int *ret_fd,
                      struct error *err);
