/* SPDX-License-Identifier: Apache-2.0 */
/* See listener.h. */
#include "control/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"

#define BACKLOG 16
#define SOCKET_MODE 0600

static int set_address(struct sockaddr_un *address, const char *path, struct error *err)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address->sun_path))
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR,
                         "%s is too long for a socket, at most %zu bytes", path,
                         sizeof(address->sun_path) - 1);
    memcpy(address->sun_path, path, strlen(path));
    return 0;
}

static int open_socket(int *ret_fd, struct error *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_errno(err, errno, "cannot make a socket");
    *ret_fd = fd;
    return 0;
}

/* One that nobody listens on is left by a process that died. */
static int clear_place(const struct sockaddr_un *address, struct error *err)
{
    struct stat st;
    cleanup_close int fd = -1;
    const char *path = address->sun_path;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "cannot look at %s", path);
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, EEXIST, EXC_INTERNAL_ERROR, "%s is there and is no socket", path);
    int r = open_socket(&fd, err);
    if (r < 0)
        return r;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
        errno != ECONNREFUSED)
        return error_set(err, EADDRINUSE, EXC_INTERNAL_ERROR, "another process listens on %s",
                         path);
    return unlink(path) == 0 ? 0 : error_errno(err, errno, "cannot remove %s", path);
}

/* The mode of the socket becomes that of the file: at no time may others connect. */
static int bind_to(int fd, const struct sockaddr_un *address, struct error *err)
{
    if (fchmod(fd, SOCKET_MODE) < 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 || listen(fd, BACKLOG) < 0)
        return error_errno(err, errno, "cannot listen on %s", address->sun_path);
    return 0;
}

int listener_open(const char *path, int *ret_fd, struct error *err)
{
    struct sockaddr_un address;
    cleanup_close int fd = -1;
    int r = set_address(&address, path, err);
    if (r == 0)
        r = clear_place(&address, err);
    if (r == 0)
        r = open_socket(&fd, err);
    if (r == 0)
        r = bind_to(fd, &address, err);
    if (r < 0)
        return r;
    *ret_fd = fd;
    fd = -1;
    return 0;
}
