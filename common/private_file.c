/* SPDX-License-Identifier: Apache-2.0 */
/* See private_file.h. */
#include "common/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

#define FOLDER_MODE 0700
#define FILE_MODE 0600
#define OTHERS (S_IRWXG | S_IRWXO)
#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

static unsigned mode_of(const struct stat *st)
{
    return (unsigned)(st->st_mode & ALLPERMS);
}

static bool is_alone(const struct stat *st, uid_t owner)
{
    return st->st_uid == owner && (st->st_mode & OTHERS) == 0;
}

static int refuse_owner(const struct stat *st, uid_t owner, const char *path, unsigned mode,
                        struct error *err)
{
    return error_set(err, EPERM, EXC_INTERNAL_ERROR,
                     "%s belongs to user %u and has mode %04o: it must be user %u's alone, "
                     "mode %04o",
                     path, (unsigned)st->st_uid, mode_of(st), (unsigned)owner, mode);
}

/* As sshd looks at the folders above a key file. */
static int check_above(int fd, uid_t owner, const char *above, const char *path, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "cannot look at %s", above);
    bool is_trusted = st.st_uid == 0 || st.st_uid == owner;
    if (is_trusted && ((st.st_mode & OTHERS_WRITE) == 0 || (st.st_mode & S_ISVTX) != 0))
        return 0;
    return error_set(err, EPERM, EXC_INTERNAL_ERROR,
                     "%s cannot be trusted: %s above it belongs to user %u and has mode %04o, so "
                     "that others than root and user %u may put something else in its place",
                     path, above, (unsigned)st.st_uid, mode_of(&st), (unsigned)owner);
}

/* The folder above `path`, each step of the way checked. `above` is resolved, and comes back. */
static int walk_to(char *above, uid_t owner, const char *path, int *ret_fd, struct error *err)
{
    cleanup_close int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int r =
        fd < 0 ? error_errno(err, errno, "cannot open /") : check_above(fd, owner, "/", path, err);
    for (char *step = above + 1, *end; r == 0 && *step != '\0'; step = end) {
        end = strchrnul(step, '/');
        char separator = *end;
        *end = '\0';
        int next = openat(fd, step, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = next < 0 ? error_errno(err, errno, "cannot open %s", above)
                     : check_above(next, owner, above, path, err);
        *end = separator;
        end += separator != '\0';
        (void)close(fd);
        fd = next;
    }
    if (r < 0)
        return r;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* Cuts `path` into the folder above it, resolved, and its name. */
static int split_path(const char *path, char **ret_above, char name[static NAME_MAX + 1],
                      struct error *err)
{
    cleanup_free char *above = strdup(path);
    if (!above)
        return error_nomem(err);
    size_t length = strlen(above);
    while (length > 1 && above[length - 1] == '/')
        above[--length] = '\0';
    char *slash = strrchr(above, '/');
    int n = snprintf(name, NAME_MAX + 1, "%s", slash ? slash + 1 : above);
    if (n <= 0 || n > NAME_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "'%s' names no folder", path);
    if (slash)
        slash[slash == above] = '\0'; /* the root stays */
    *ret_above = realpath(slash ? above : ".", NULL);
    return *ret_above ? 0 : error_errno(err, errno, "cannot find the folder above %s", path);
}

static int open_folder_at(int above_fd, const char *name, uid_t owner, const char *path,
                          int *ret_fd, struct error *err)
{
    struct stat st;
    cleanup_close int fd = openat(above_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return error_set(err, EPERM, EXC_INTERNAL_ERROR,
                         "%s is no folder, and a symbolic link to one is not followed", path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "cannot open %s", path);
    if (!is_alone(&st, owner))
        return refuse_owner(&st, owner, path, FOLDER_MODE, err);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int open_folder(const char *path, uid_t owner, bool is_made, int *ret_fd, struct error *err)
{
    char name[NAME_MAX + 1];
    cleanup_free char *above = NULL;
    cleanup_close int above_fd = -1;
    int r = split_path(path, &above, name, err);
    if (r == 0)
        r = walk_to(above, owner, path, &above_fd, err);
    if (r == 0 && is_made && mkdirat(above_fd, name, FOLDER_MODE) < 0 && errno != EEXIST)
        r = error_errno(err, errno, "cannot make %s", path);
    return r < 0 ? r : open_folder_at(above_fd, name, owner, path, ret_fd, err);
}

int private_file_open_folder(const char *path, int *ret_fd, struct error *err)
{
    return open_folder(path, geteuid(), true, ret_fd, err);
}

int private_file_judge_folder(const char *path, uid_t *ret_owner, struct error *err)
{
    struct stat st;
    cleanup_close int fd = -1;
    if (lstat(path, &st) < 0)
        return error_errno(err, errno, "cannot look at %s", path);
    *ret_owner = geteuid() == 0 ? st.st_uid : geteuid();
    return open_folder(path, *ret_owner, false, &fd, err);
}

int private_file_open_state_folder(const char *state_dir, const char *host, const char *what,
                                   char ret_path[static PRIVATE_FILE_FOLDER_SIZE], int *ret_fd,
                                   struct error *err)
{
    int n = snprintf(ret_path, PRIVATE_FILE_FOLDER_SIZE, "%s/%s.%s", state_dir, host, what);
    if (n < 0 || n >= PRIVATE_FILE_FOLDER_SIZE)
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "[snapshot_agent]state_dir %s",
                         state_dir);
    return private_file_open_folder(ret_path, ret_fd, err);
}

static int check_file(int fd, const char *path, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "cannot look at %s", path);
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        return error_set(err, EPERM, EXC_INTERNAL_ERROR, "%s is no regular file with one name",
                         path);
    return is_alone(&st, geteuid()) ? 0 : refuse_owner(&st, geteuid(), path, FILE_MODE, err);
}

int private_file_open(int folder_fd, const char *folder, const char *name, int flags, int *ret_fd,
                      struct error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    cleanup_close int fd =
        openat(folder_fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return error_errno(err, errno, "cannot open %s", path);
    int r = check_file(fd, path, err);
    if (r < 0)
        return r;
    *ret_fd = fd;
    fd = -1;
    return 0;
}
