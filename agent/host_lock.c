/* SPDX-License-Identifier: Apache-2.0 */
/* See host_lock.h. */
#include "agent/host_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "common/cleanup.h"
#include "common/private_file.h"

static int refuse_second(int fd, const char *path, struct error *err)
{
    char pid[16] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
    pid[n > 0 ? n : 0] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                     "another agent (pid %s) serves this host: %s is locked",
                     pid[0] != '\0' ? pid : "unknown", path);
}

int host_lock_take(const char *state_dir, const char *host, int *ret_fd, struct error *err)
{
    char path[PATH_MAX], name[NAME_MAX + 1];
    int n = snprintf(path, sizeof(path), "%s/%s.lock", state_dir, host);
    if (n < 0 || (size_t)n >= sizeof(path) || strchr(host, '/') ||
        strlen(host) + sizeof(".journal") > sizeof(name))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "no lock file can be named after host %s",
                         host);
    cleanup_close int folder = -1, fd = -1;
    (void)snprintf(name, sizeof(name), "%s.lock", host);
    int r = private_file_open_folder(state_dir, &folder, err);
    if (r == 0)
        r = private_file_open(folder, state_dir, name, O_RDWR | O_CREAT, &fd, err);
    if (r < 0)
        return error_prepend(err, "[snapshot_agent]state_dir");
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? refuse_second(fd, path, err)
                                    : error_errno(err, errno, "cannot lock %s", path);
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
        return error_errno(err, errno, "cannot write %s", path);
    *ret_fd = fd;
    fd = -1;
    return 0;
}
