/* SPDX-License-Identifier: Apache-2.0 */
/* The layers that nobody names, in a file's folder. See layer_map.h. */
/* Names begin with layer_map_. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "domain/layer_map_int.h"

#define QCOW2_MAGIC "QFI\xfb"

/* *ret_is: by its first bytes. One that has gone since, or is no plain file, is none. */
static int is_qcow2(int folder_fd, const char *name, const char *path, bool *ret_is,
                    struct error *err)
{
    char magic[sizeof(QCOW2_MAGIC) - 1];
    struct stat st;
    *ret_is = false;
    if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "cannot look at %s", path);
    if (!S_ISREG(st.st_mode))
        return 0;
    cleanup_close int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    ssize_t n = fd < 0 ? -1 : pread(fd, magic, sizeof(magic), 0);
    if (n < 0)
        return error_errno(err, errno, "cannot read %s", path);
    *ret_is = n == (ssize_t)sizeof(magic) && memcmp(magic, QCOW2_MAGIC, sizeof(magic)) == 0;
    return 0;
}

static int add_entry(struct layer_map *map, int folder_fd, const char *folder, const char *name,
                     struct error *err)
{
    char path[DRIVER_PATH_MAX];
    bool is_layer = false;
    size_t ignored;
    int n = snprintf(path, sizeof(path), "%s%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof(path))
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s%s", folder, name);
    int r = is_qcow2(folder_fd, name, path, &is_layer, err);
    /* Whoever names it knows what it is. */
    if (r < 0 || !is_layer || layer_map_find(map, path) != LAYER_MAP_NONE)
        return r;
    return layer_map_add_file(map, path, "qcow2", &ignored, err);
}

static int add_entries(struct layer_map *map, DIR *directory, const char *folder, struct error *err)
{
    int r = 0;
    while (r == 0) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry)
            return errno == 0 ? layer_map_follow(map, err)
                              : error_errno(err, errno, "cannot read %s", folder);
        r = add_entry(map, dirfd(directory), folder, entry->d_name, err);
    }
    return r;
}

int layer_map_add_beside(struct layer_map *map, const char *path, struct error *err)
{
    char folder[DRIVER_PATH_MAX];
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 0, path);
    DIR *directory = opendir(folder);
    if (!directory)
        return error_errno(err, errno, "cannot read %s", folder);
    int r = add_entries(map, directory, folder, err);
    (void)closedir(directory);
    return r;
}
