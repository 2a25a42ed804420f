/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_lock.h. */
#include "common/domain_lock.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/cleanup.h"

#define BACKLOG 16

/* How long it is: the name has no NUL at its end, but one in front. */
static socklen_t name_lock(const char *uuid, struct sockaddr_un *ret_name)
{
    *ret_name = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(ret_name->sun_path + 1, sizeof(ret_name->sun_path) - 1, "nova-snapshot/%.36s",
                     uuid);
    for (char *c = ret_name->sun_path + 1; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static int open_socket(struct error *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? error_errno(err, errno, "cannot make a lock of the domain") : fd;
}

/* Who listens there: nobody accepts, but the kernel tells who it is. */
static int refuse_second(const struct sockaddr_un *name, socklen_t size, struct error *err)
{
    struct ucred holder = {.pid = 0};
    socklen_t holder_size = sizeof(holder);
    cleanup_close int fd = open_socket(err);
    if (fd < 0)
        return fd;
    if (connect(fd, (const struct sockaddr *)name, size) == 0)
        (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &holder, &holder_size);
    if (holder.pid == 0)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "another process is at work on the domain");
    return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                     "another process, %d of user %u, is at work on the domain", (int)holder.pid,
                     (unsigned)holder.uid);
}

int domain_lock_take(const char *uuid, int *ret_fd, struct error *err)
{
    struct sockaddr_un name;
    socklen_t size = name_lock(uuid, &name);
    cleanup_close int fd = open_socket(err);
    if (fd < 0)
        return fd;
    if (bind(fd, (const struct sockaddr *)&name, size) < 0)
        return errno == EADDRINUSE ? refuse_second(&name, size, err)
                                   : error_errno(err, errno, "cannot lock the domain");
    (void)listen(fd, BACKLOG); /* so that whoever comes is told who has it */
    *ret_fd = fd;
    fd = -1;
    return 0;
}
