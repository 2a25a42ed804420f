/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of its own for a test program: group set-up and tear-down, paths in it. */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char scratch_directory[] = "/var/tmp/test_driver.XXXXXX";

static inline int scratch_make(void **state)
{
    (void)state;
    return mkdtemp(scratch_directory) ? 0 : -1;
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int type,
                                     struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int scratch_remove(void **state)
{
    (void)state;
    return nftw(scratch_directory, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of `name` in the directory, in one of many static buffers. */
static inline const char *scratch_path(const char *name)
{
    static char paths[64][256];
    static unsigned next;
    char *path = paths[next++ % 64];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", scratch_directory, name);
    return path;
}
