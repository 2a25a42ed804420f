/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_lock.h. */
#include "common/domain_lock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/id.h"

#define FOLDER_MODE 0700
#define FILE_MODE 0644 /* the other one of the two users has to open it: umask 022 */
#define LINE_MAX_BYTES 256

struct domain_lock {
    int folder_fd;
    int fd;
    char name[ID_UUID_SIZE];
};

static int open_folder(const char *folder, int *ret_fd, struct error *err)
{
    struct stat st;
    if (mkdir(folder, FOLDER_MODE) < 0 && errno != EEXIST)
        return error_errno(err, errno, "cannot make %s, where domains are locked", folder);
    cleanup_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "cannot open %s, where domains are locked", folder);
    bool is_trusted = st.st_uid == 0 || st.st_uid == geteuid() || geteuid() == 0;
    if (!is_trusted || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return error_set(err, EPERM, EXC_INTERNAL_ERROR,
                         "%s, where domains are locked, belongs to user %u and has mode %04o: "
                         "others could keep us waiting",
                         folder, (unsigned)st.st_uid, (unsigned)(st.st_mode & ALLPERMS));
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* 0 when the kernel does not tell: proc(5), /proc/locks. */
static int find_holder(const struct stat *st)
{
    cleanup_fclose FILE *locks = fopen("/proc/locks", "re");
    char line[LINE_MAX_BYTES];
    while (locks && fgets(line, sizeof(line), locks)) {
        unsigned dev_major = 0, dev_minor = 0;
        unsigned long inode = 0;
        int pid = 0;
        if (sscanf(line, "%*u: FLOCK %*s %*s %d %x:%x:%lu", &pid, &dev_major, &dev_minor, &inode) ==
                4 &&
            inode == st->st_ino && makedev(dev_major, dev_minor) == st->st_dev && pid > 0)
            return pid;
    }
    return 0;
}

static int refuse_second(const struct stat *st, struct error *err)
{
    int pid = find_holder(st);
    return pid == 0 ? error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                                "another process is at work on the domain")
                    : error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                                "another process, %d, is at work on the domain", pid);
}

/* Whoever gives a lock back removes its file: what was opened before then is locked in vain. */
static int lock_file(struct domain_lock *lock, struct error *err)
{
    struct stat st = {.st_nlink = 0};
    while (st.st_nlink == 0) {
        cleanup_close int fd =
            openat(lock->folder_fd, lock->name,
                   O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, FILE_MODE);
        if (fd < 0)
            return error_errno(err, errno, "cannot lock the domain");
        bool is_busy = flock(fd, LOCK_EX | LOCK_NB) < 0;
        if (is_busy && errno != EWOULDBLOCK)
            return error_errno(err, errno, "cannot lock the domain");
        if (fstat(fd, &st) < 0)
            return error_errno(err, errno, "cannot lock the domain");
        if (is_busy)
            return refuse_second(&st, err);
        if (st.st_nlink == 0)
            continue;
        lock->fd = fd;
        fd = -1;
    }
    return 0;
}

int domain_lock_take(const char *folder, const char *uuid, struct domain_lock **ret_lock,
                     struct error *err)
{
    if (!id_is_uuid(uuid))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s is no uuid", uuid);
    struct domain_lock *lock = calloc(1, sizeof(*lock));
    if (!lock)
        return error_nomem(err);
    lock->folder_fd = lock->fd = -1;
    for (size_t i = 0; uuid[i] != '\0'; i++)
        lock->name[i] = (char)tolower((unsigned char)uuid[i]);
    int r = open_folder(folder, &lock->folder_fd, err);
    if (r == 0)
        r = lock_file(lock, err);
    if (r < 0) {
        domain_lock_release(lock);
        return r;
    }
    *ret_lock = lock;
    return 0;
}

void domain_lock_release(struct domain_lock *lock)
{
    if (!lock)
        return;
    if (lock->fd >= 0) {
        (void)unlinkat(lock->folder_fd, lock->name, 0);
        (void)flock(lock->fd, LOCK_UN); /* also for a process forked meanwhile */
        (void)close(lock->fd);
    }
    if (lock->folder_fd >= 0)
        (void)close(lock->folder_fd);
    free(lock);
}
