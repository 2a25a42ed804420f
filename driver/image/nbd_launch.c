/* SPDX-License-Identifier: Apache-2.0 */
/* See nbd_launch.h. */
#include "driver/image/nbd_launch.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"

#define ATTEMPTS 10

/*
 * A listening socket and a connection to it that nobody else can have. There is no file, which a
 * process that is killed would leave: the kernel chooses an abstract name (unix(7), autobind). Any
 * user of the host may connect to such a name, so the queue has room for one: either ours is the
 * first, or the socket is thrown away. A qemu-nbd takes no second client beside the first.
 */
static int connect_first(int *ret_listen_fd, int *ret_fd)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(name.sun_family);
    cleanup_close int listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listen_fd < 0 || fd < 0 || bind(listen_fd, (struct sockaddr *)&name, length) < 0)
        return -errno;
    length = sizeof(name);
    if (getsockname(listen_fd, (struct sockaddr *)&name, &length) < 0 || listen(listen_fd, 0) < 0 ||
        connect(fd, (struct sockaddr *)&name, length) < 0)
        return -errno;
    *ret_listen_fd = listen_fd;
    *ret_fd = fd;
    listen_fd = fd = -1;
    return 0;
}

static int make_connection(int *ret_listen_fd, int *ret_fd, struct error *err)
{
    int r = -EAGAIN;
    for (unsigned i = 0; r == -EAGAIN && i < ATTEMPTS; i++)
        r = connect_first(ret_listen_fd, ret_fd);
    return r < 0 ? error_errno(err, -r, "cannot make a socket for an NBD server") : 0;
}

int nbd_launch(const char *const *argv, enum process_sandbox sandbox, unsigned stall_timeout_s,
               struct nbd_client **ret_client, struct error *err)
{
    struct nbd_client *client = NULL;
    cleanup_close int listen_fd = -1, fd = -1;
    int r = make_connection(&listen_fd, &fd, err);
    if (r == 0)
        r = nbd_client_new(stall_timeout_s, &client, err);
    if (r == 0)
        r = process_server_start(argv, listen_fd, sandbox, &client->server, err);
    (void)close(listen_fd); /* the server's copy is the only one: its end ends the connection */
    listen_fd = -1;
    if (r == 0) {
        r = nbd_client_connect_socket(client, fd, err);
        fd = -1;
    }
    if (r < 0) {
        nbd_client_free(client);
        return r;
    }
    *ret_client = client;
    return 0;
}
