/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a folder where a name that is missed is taken for one that is not there. Any thread. */
#pragma once

#include <dirent.h>
#include <errno.h>

/* *ret_entry is the next one, NULL at the end. -errno when there is no telling. */
static inline int folder_next(DIR *folder, const struct dirent **ret_entry)
{
    errno = 0;
    *ret_entry = readdir(folder); /* NOLINT(concurrency-mt-unsafe): glibc's is safe */
    return *ret_entry ? 0 : -errno;
}
