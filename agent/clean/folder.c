/* SPDX-License-Identifier: Apache-2.0 */
/* See folder.h. */
#include "agent/clean/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/folder.h"
#include "common/id.h"
#include "driver/image/staging.h"

#define SOCKET_FOLDER "nbd"
#define SOCKET "s"
#define ENTRIES_MAX 16

bool clean_folder_is_named(const char *name, bool *ret_own)
{
    static const char prefix[] = "tmp", letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    size_t length = strlen(prefix) + 8;
    *ret_own = staging_is_name(name);
    return *ret_own || (strlen(name) == length && strncmp(name, prefix, strlen(prefix)) == 0 &&
                        strspn(name + strlen(prefix), letters) == length - strlen(prefix));
}

/* Both give an image 32 hex digits, and the copy it is made of the same with an end. */
static bool is_image_name(const char *name)
{
    size_t n = strspn(name, "0123456789abcdef");
    return n == ID_HEX_SIZE - 1 && (name[n] == '\0' || strcmp(name + n, ".delta") == 0);
}

typedef int (*entry_visit)(int fd, const char *name, const struct stat *st, void *arg,
                           struct error *err);

static int open_folder(int parent_fd, const char *name, int *ret_fd, struct error *err)
{
    *ret_fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *ret_fd < 0 ? error_errno(err, errno, "%s cannot be opened", name) : 0;
}

static int visit_entry(int fd, const char *name, entry_visit visit, void *arg, struct error *err)
{
    struct stat st;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return visit(fd, name, &st, arg, err);
    return errno == ENOENT ? 0 : error_errno(err, errno, "%.64s", name);
}

/* Of what is in it, until one fails. */
static int visit_entries(int fd, entry_visit visit, void *arg, struct error *err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry = NULL;
    unsigned n = 0;
    if (!folder) {
        int saved_errno = errno;
        cleanup_close_fd(&copy);
        return error_errno(err, saved_errno, "it cannot be read");
    }
    rewinddir(folder);
    int r = 0, next = 0;
    while (r == 0 && (next = folder_next(folder, &entry)) == 0 && entry) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        r = ++n > ENTRIES_MAX
                ? error_set(err, EEXIST, EXC_INTERNAL_ERROR, "it holds more than a snapshot makes")
                : visit_entry(fd, entry->d_name, visit, arg, err);
    }
    (void)closedir(folder);
    return next < 0 ? error_errno(err, -next, "it cannot be read") : r;
}

static int visit_folder(int parent_fd, const char *name, entry_visit visit, void *arg,
                        struct error *err)
{
    cleanup_close int fd = -1;
    int r = open_folder(parent_fd, name, &fd, err);
    return r < 0 ? r : visit_entries(fd, visit, arg, err);
}

static int refuse_entry(const char *name, struct error *err)
{
    return error_set(err, EEXIST, EXC_INTERNAL_ERROR, "it holds %.64s, which no snapshot makes",
                     name);
}

static int look_at_socket(int fd, const char *name, const struct stat *st, void *arg,
                          struct error *err)
{
    (void)fd, (void)arg;
    return S_ISSOCK(st->st_mode) && strcmp(name, SOCKET) == 0 ? 0 : refuse_entry(name, err);
}

static int look_at_entry(int fd, const char *name, const struct stat *st, void *arg,
                         struct error *err)
{
    struct clean_folder *folder = arg;
    if (S_ISDIR(st->st_mode) && strcmp(name, SOCKET_FOLDER) == 0)
        return visit_folder(fd, name, look_at_socket, NULL, err);
    if (!S_ISREG(st->st_mode) || !is_image_name(name))
        return refuse_entry(name, err);
    folder->bytes += (uint64_t)st->st_blocks * 512;
    return 0;
}

int clean_folder_read(int parent_fd, const char *name, struct clean_folder *ret_folder,
                      struct error *err)
{
    struct clean_folder folder = {0};
    struct statx st;
    if (statx(parent_fd, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME | STATX_CTIME | STATX_UID, &st) < 0)
        return error_errno(err, errno, "%.64s", name);
    folder.user = st.stx_uid;
    folder.made = (time_t)(st.stx_mask & STATX_BTIME ? st.stx_btime.tv_sec : st.stx_ctime.tv_sec);
    int r = visit_folder(parent_fd, name, look_at_entry, &folder, err);
    if (r == 0)
        *ret_folder = folder;
    return r;
}

struct closed_check {
    bool (*is_left_out)(void *arg, const char *file);
    void *arg;
};

/* Whoever opens it at this instant waits for it; we are told by a signal that does nothing. */
static int take_lease(int fd)
{
    int r = fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0 ? -errno : 0;
    if (r == 0)
        (void)fcntl(fd, F_SETLEASE, F_UNLCK);
    return r;
}

static int check_file_closed(int fd, const char *name, const struct stat *st, void *arg,
                             struct error *err)
{
    const struct closed_check *check = arg;
    if (!S_ISREG(st->st_mode) || check->is_left_out(check->arg, name))
        return 0;
    cleanup_close int file = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int r = file < 0 ? -errno : take_lease(file);
    if (r == 0)
        return 0;
    if (r == -EAGAIN)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "a process has %s open", name);
    return error_errno(err, -r, "whether a process has %s open cannot be known", name);
}

int clean_folder_check_closed(int parent_fd, const char *name,
                              bool (*is_left_out)(void *arg, const char *file), void *arg,
                              struct error *err)
{
    struct closed_check check = {is_left_out, arg};
    return visit_folder(parent_fd, name, check_file_closed, &check, err);
}

static int remove_entry(int fd, const char *name, const struct stat *st, void *arg,
                        struct error *err)
{
    (void)arg;
    if (S_ISDIR(st->st_mode)) {
        int r = visit_folder(fd, name, remove_entry, NULL, err);
        if (r < 0)
            return r;
    }
    if (unlinkat(fd, name, S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
        return error_errno(err, errno, "%s cannot be removed", name);
    return 0;
}

int clean_folder_remove(int parent_fd, const char *name, struct error *err)
{
    struct clean_folder folder;
    int r = clean_folder_read(parent_fd, name, &folder, err); /* nothing has come since */
    if (r == 0)
        r = visit_folder(parent_fd, name, remove_entry, NULL, err);
    if (r < 0)
        return r;
    return unlinkat(parent_fd, name, AT_REMOVEDIR) < 0
               ? error_errno(err, errno, "%s cannot be removed", name)
               : 0;
}
