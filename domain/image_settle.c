/* SPDX-License-Identifier: Apache-2.0 */
/* See image_settle.h. */
#include "domain/image_settle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json.h"
#include "domain/file_folder.h"

int image_settle_note(const char *partial, const char *path, json_t **ret_note, struct error *err)
{
    json_int_t folder = 0;
    int r = file_folder_note(path, &folder, err);
    if (r < 0)
        return r;
    *ret_note = json_pack("{s:s, s:s, s:I}", "partial", partial, "path", path, "folder", folder);
    return *ret_note ? 0 : error_nomem(err);
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

static int remove_partial(const char *partial, const json_t *note, struct error *err)
{
    if (unlink(partial) == 0)
        return 0;
    if (errno != ENOENT)
        return error_errno(err, errno, "cannot remove %s", partial);
    int r = file_folder_check(partial, json_object_get(note, "folder"), err);
    return r < 0 ? error_prepend(err, "cannot remove %s", partial) : 0;
}

int image_settle(const json_t *note, bool complete, struct error *err)
{
    const char *partial = json_string_member(note, "partial");
    const char *path = json_string_member(note, "path");
    if (!partial || !path)
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "a note of an image has no names");
    int r = complete ? put_in_place(partial, path, err) : remove_partial(partial, note, err);
    /* Its name outlives a power cut, as the note of it does not. */
    return r < 0 ? r : file_folder_sync(path, err);
}
