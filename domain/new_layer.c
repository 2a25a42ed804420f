/* SPDX-License-Identifier: Apache-2.0 */
/* See new_layer.h. */
#include "domain/new_layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "domain/file_folder.h"
#include "driver/image/qemu_img.h"

#define PRIVATE_MODE 0600 /* until it is given to whose the disk is */

int new_layer_sync_folder(const char *path, struct error *err)
{
    return file_folder_sync(path, err);
}

int new_layer_create(const char *path, const char *base, const char *base_format, struct error *err)
{
    struct qemu_img_info info = {0};
    int r = qemu_img_info(base, base_format, &info, err);
    if (r < 0)
        return r;
    cleanup_close int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, PRIVATE_MODE);
    if (fd < 0)
        return error_errno(err, errno, "cannot make %s", path);
    const struct qemu_img_overlay overlay = {.path = path,
                                             .size_bytes = info.virtual_size_bytes,
                                             .backing_path = base,
                                             .backing_format = base_format};
    r = qemu_img_create_overlay(&overlay, err);
    if (r == 0)
        r = new_layer_give_owner(path, base, err);
    if (r == 0 && fsync(fd) < 0)
        r = error_errno(err, errno, "cannot sync %s", path);
    return r < 0 ? r : new_layer_sync_folder(path, err);
}

int new_layer_give_owner(const char *path, const char *base, struct error *err)
{
    struct stat of_base, of_layer;
    cleanup_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || stat(base, &of_base) < 0 || fstat(fd, &of_layer) < 0 ||
        !S_ISREG(of_layer.st_mode) || (!S_ISREG(of_base.st_mode) && !S_ISBLK(of_base.st_mode)))
        return 0;
    if (fchmod(fd, of_base.st_mode & 0777) < 0 || fchown(fd, of_base.st_uid, of_base.st_gid) < 0)
        return error_errno(err, errno, "cannot give %s the owner of %s", path, base);
    return 0;
}

int new_layer_find(const char *path, const json_t *folder, enum new_layer_found *ret_found,
                   struct error *err)
{
    struct stat st;
    if (lstat(path, &st) == 0) {
        bool is_begun = S_ISREG(st.st_mode) && st.st_size == 0;
        *ret_found = is_begun ? NEW_LAYER_BEGUN : NEW_LAYER_THERE;
        return 0;
    }
    if (errno != ENOENT)
        return error_errno(err, errno, "cannot look at %s", path);
    int r = file_folder_check(path, folder, err);
    if (r == 0)
        *ret_found = NEW_LAYER_GONE;
    return r;
}

/* What can be read and is no qcow2 is somebody's; zeros may be one that has not come to disk. */
static bool is_other_kind(const char *path)
{
    char magic[4];
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
           memcmp(magic, "QFI\xfb", sizeof(magic)) != 0 &&
           memcmp(magic, "\0\0\0\0", sizeof(magic)) != 0;
}

int new_layer_look(const char *path, const char *base, bool *ret_is_on, struct error *err)
{
    struct qemu_img_info info = {0};
    if (is_other_kind(path)) {
        *ret_is_on = false;
        return 0;
    }
    int r = qemu_img_info(path, "qcow2", &info, err);
    if (r == 0)
        *ret_is_on = strcmp(info.backing_path, base) == 0;
    return r;
}

bool new_layer_is_on(const char *path, const char *base)
{
    struct error ignored = ERROR_INIT;
    bool is_on = false;
    return new_layer_look(path, base, &is_on, &ignored) == 0 && is_on;
}

static bool is_in_use(const struct layer_map *map, const char *path)
{
    const struct layer_name *user = layer_map_find_user(map, path);
    bool is_used = user || qemu_img_is_written(path);
    if (is_used)
        log_warning("%s was to go, but is in use%s%s: it stays", path, user ? " by domain " : "",
                    user ? user->domain : "");
    return is_used;
}

static int remove_file(const char *path, const json_t *folder, struct error *err)
{
    if (unlink(path) == 0)
        return 0;
    return errno == ENOENT ? file_folder_check(path, folder, err)
                           : error_errno(err, errno, "cannot remove %s", path);
}

int new_layer_remove_file(const struct layer_map *map, const char *path, const json_t *folder,
                          struct error *err)
{
    return is_in_use(map, path) ? 0 : remove_file(path, folder, err);
}

/* By a QEMU that went on there when libvirt had lost its account of it. */
static bool was_written_to(const char *path, const char *base)
{
    struct error failure = ERROR_INIT;
    bool is_empty = false;
    int r = qemu_img_layer_is_empty(path, &is_empty, &failure);
    if (!is_empty)
        log_warning(
            "%s was to go, but may hold what a guest wrote since, which %s lacks: it stays; "
            "make it the domain's disk with `virsh edit` before the next start, or remove "
            "it when nothing is missed%s%s",
            path, base, r < 0 ? ": " : "", failure.message);
    return !is_empty;
}

int new_layer_remove(const struct layer_map *map, const char *path, const char *base,
                     const json_t *folder, struct error *err)
{
    enum new_layer_found found;
    int r = new_layer_find(path, folder, &found, err);
    if (r < 0 || found == NEW_LAYER_GONE)
        return r;
    bool is_half = found == NEW_LAYER_BEGUN;
    if (!is_half && !new_layer_is_on(path, base)) {
        log_warning("%s was to be a layer on %s and is none: it stays", path, base);
        return 0;
    }
    if (is_in_use(map, path) || (!is_half && was_written_to(path, base)))
        return 0;
    return remove_file(path, folder, err);
}
