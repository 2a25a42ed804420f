/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and folders by what they are, device and inode, and not by what they are called:
 * instances_path and shares are reached through links, bind mounts and older names.
 */
#pragma once

#include <stdbool.h>

/* True for one file or folder under two absolute paths, links are followed; or for one text. */
bool same_file(const char *a, const char *b);

/* True when the file is called by an entry of `folder` itself. */
bool same_file_in_folder(const char *path, const char *folder);
