/* SPDX-License-Identifier: Apache-2.0 */
/* See file_folder.h. */
#include "domain/file_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

static int open_folder(const char *path, int *ret_fd, struct stat *ret_st, struct error *err)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
                   slash ? path : ".");
    cleanup_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, ret_st) < 0)
        return error_errno(err, errno, "cannot open the folder of %s", path);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int file_folder_note(const char *path, json_int_t *ret_inode, struct error *err)
{
    struct stat st;
    cleanup_close int fd = -1;
    int r = open_folder(path, &fd, &st, err);
    if (r == 0)
        *ret_inode = (json_int_t)st.st_ino;
    return r;
}

/* The device is not compared: after a reboot, or mounted again, it may have another number. The
 * file is looked for in the folder that was opened: storage may be mounted there meanwhile. */
int file_folder_check(const char *path, const json_t *inode, struct error *err)
{
    struct stat st;
    cleanup_close int fd = -1;
    const char *slash = strrchr(path, '/');
    int r = open_folder(path, &fd, &st, err);
    if (r < 0)
        return error_append(err, ": is its storage mounted");
    if (inode && json_integer_value(inode) != (json_int_t)st.st_ino)
        return error_set(err, ENOENT, EXC_INTERNAL_ERROR,
                         "the folder of %s is not the one it was in: is its storage mounted", path);
    if (fstatat(fd, slash ? slash + 1 : path, &st, 0) == 0)
        return error_set(err, EAGAIN, EXC_INTERNAL_ERROR, "%s is there again: try once more", path);
    return errno == ENOENT ? 0 : error_errno(err, errno, "cannot look at %s", path);
}

int file_folder_sync(const char *path, struct error *err)
{
    struct stat st;
    cleanup_close int fd = -1;
    int r = open_folder(path, &fd, &st, err);
    if (r < 0)
        return r;
    return fsync(fd) == 0 || errno == EINVAL
               ? 0
               : error_errno(err, errno, "cannot sync the folder of %s", path);
}
