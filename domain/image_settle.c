/* SPDX-License-Identifier: Apache-2.0 */
/* See image_settle.h. */
#include "domain/image_settle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/json.h"

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

int image_settle_folder(const char *path, json_int_t *ret_inode, struct error *err)
{
    struct stat st;
    cleanup_close int fd = -1;
    int r = open_folder(path, &fd, &st, err);
    if (r == 0)
        *ret_inode = (json_int_t)st.st_ino;
    return r;
}

int image_settle_note(const char *partial, const char *path, json_t **ret_note, struct error *err)
{
    json_int_t folder = 0;
    int r = image_settle_folder(path, &folder, err);
    if (r < 0)
        return r;
    *ret_note = json_pack("{s:s, s:s, s:I}", "partial", partial, "path", path, "folder", folder);
    return *ret_note ? 0 : error_nomem(err);
}

/* Its device is not kept: many have another number after the next start of the host. */
static bool is_folder_of(const json_t *note, const struct stat *folder)
{
    return json_integer_value(json_object_get(note, "folder")) == (json_int_t)folder->st_ino;
}

/* Looked for in the folder that was opened: storage may be mounted there meanwhile. */
bool image_settle_has_gone(const json_t *note)
{
    struct stat st;
    struct error ignored = ERROR_INIT;
    cleanup_close int fd = -1;
    const char *path = json_string_member(note, "path");
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (!path)
        return false;
    if (!json_object_get(note, "folder"))
        return stat(path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR);
    return open_folder(path, &fd, &st, &ignored) == 0 && is_folder_of(note, &st) &&
           fstatat(fd, slash ? slash + 1 : path, &st, 0) < 0 && errno == ENOENT;
}

static bool is_one_file(const char *a, const char *b)
{
    struct stat one, other;
    return lstat(a, &one) == 0 && lstat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* Some file systems, NFS among them, cannot keep a rename from replacing; some of them can link. */
static int move_by_link(const char *partial, const char *path)
{
    struct stat st;
    if (link(partial, path) == 0)
        return unlink(partial);
    int saved_errno = errno;
    if (saved_errno == EEXIST && is_one_file(partial, path)) /* killed in between */
        return unlink(partial);
    bool can_link = saved_errno != EPERM && saved_errno != EOPNOTSUPP && saved_errno != ENOSYS;
    if (!can_link && lstat(path, &st) < 0 && errno == ENOENT)
        return rename(partial, path);
    errno = can_link ? saved_errno : EEXIST;
    return -1;
}

static int move(const char *partial, const char *path)
{
    int r = renameat2(AT_FDCWD, partial, AT_FDCWD, path, RENAME_NOREPLACE);
    return r < 0 && (errno == EINVAL || errno == ENOSYS) ? move_by_link(partial, path) : r;
}

/* An earlier try may have done it. */
static int put_in_place(const char *partial, const char *path, struct error *err)
{
    struct stat st;
    if (move(partial, path) == 0)
        return 0;
    int saved_errno = errno;
    if (saved_errno != ENOENT)
        return error_errno(err, saved_errno, "cannot give %s its name, %s", partial, path);
    return lstat(path, &st) == 0
               ? 0
               : error_set(err, ENOENT, EXC_INTERNAL_ERROR,
                           "an image was whole, but neither %s nor %s is there: is their storage "
                           "mounted",
                           path, partial);
}

static int remove_partial(const char *partial, const json_t *note, const struct stat *folder,
                          struct error *err)
{
    if (unlink(partial) == 0)
        return 0;
    if (errno != ENOENT)
        return error_errno(err, errno, "cannot remove %s", partial);
    return is_folder_of(note, folder)
               ? 0
               : error_set(err, ENOENT, EXC_INTERNAL_ERROR,
                           "cannot remove %s: its folder is not the one it was in, is its storage "
                           "mounted",
                           partial);
}

int image_settle(const json_t *note, bool complete, struct error *err)
{
    struct stat folder;
    cleanup_close int fd = -1;
    const char *partial = json_string_member(note, "partial");
    const char *path = json_string_member(note, "path");
    if (!partial || !path)
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "a note of an image has no names");
    int r = open_folder(path, &fd, &folder, err);
    if (r == 0)
        r = complete ? put_in_place(partial, path, err)
                     : remove_partial(partial, note, &folder, err);
    if (r < 0)
        return r;
    /* Its name outlives a power cut, as the note of it does not. Not all file systems have that. */
    return fsync(fd) == 0 || errno == EINVAL ? 0 : error_errno(err, errno, "cannot sync %s", path);
}
