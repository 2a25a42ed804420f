/* SPDX-License-Identifier: Apache-2.0 */
/* A temporary folder of its own for a test program: group set-up and tear-down, paths in it. */
#pragma once

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char temp_folder[] = "/var/tmp/test_driver.XXXXXX";

static inline int temp_folder_make(void **state)
{
    (void)state;
    return mkdtemp(temp_folder) ? 0 : -1;
}

static inline int temp_folder_remove_one(const char *path, const struct stat *st, int type,
                                         struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int temp_folder_remove(void **state)
{
    (void)state;
    return nftw(temp_folder, temp_folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of `name` in the folder, in one of many static buffers. */
static inline const char *temp_path(const char *name)
{
    static char paths[64][256];
    static unsigned next;
    char *path = paths[next++ % 64];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", temp_folder, name);
    return path;
}

/* Of a file there whose name has `length` bytes, in one static buffer. */
static inline const char *temp_path_of_length(size_t length)
{
    static char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/", temp_folder);
    memset(path + n, 'n', length);
    path[(size_t)n + length] = '\0';
    return path;
}
