/* SPDX-License-Identifier: Apache-2.0 */
/* See reach.h. */
#include "amqp/reach.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"

static int await_connection(int fd, uint64_t deadline_ms)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
    uint64_t now_ms = clock_now_ms();
    int errnum = 0;
    socklen_t size = sizeof(errnum);
    int n = poll(&pollfd, 1, deadline_ms > now_ms ? (int)(deadline_ms - now_ms) : 0);
    if (n == 0)
        return ETIMEDOUT;
    return n > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &size) == 0 ? errnum : errno;
}

static int try_address(const struct addrinfo *address, uint64_t deadline_ms)
{
    cleanup_close int fd =
        socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
               address->ai_protocol);
    if (fd < 0)
        return errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return 0;
    return errno == EINPROGRESS ? await_connection(fd, deadline_ms) : errno;
}

int reach_errno(const struct transport_host *host, unsigned timeout_ms)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    char port[16];
    uint64_t deadline_ms = clock_now_ms() + timeout_ms;
    int errnum = 0;
    (void)snprintf(port, sizeof(port), "%u", host->port);
    if (getaddrinfo(host->hostname, port, &hints, &addresses) != 0)
        return 0;
    for (const struct addrinfo *address = addresses; address; address = address->ai_next) {
        errnum = try_address(address, deadline_ms);
        if (errnum == 0)
            break;
    }
    freeaddrinfo(addresses);
    return errnum;
}
