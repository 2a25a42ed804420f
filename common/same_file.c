/* SPDX-License-Identifier: Apache-2.0 */
/* See same_file.h. */
#include "common/same_file.h"

#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"

bool same_file(const char *a, const char *b)
{
    struct stat first, second;
    if (strcmp(a, b) == 0)
        return true;
    return a[0] == '/' && b[0] == '/' && stat(a, &first) == 0 && stat(b, &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

bool same_file_in_folder(const char *path, const char *folder)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return false;
    cleanup_free char *parent = strndup(path, (size_t)(slash - path) + 1);
    return parent && same_file(parent, folder);
}
