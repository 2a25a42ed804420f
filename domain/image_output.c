/* SPDX-License-Identifier: Apache-2.0 */
/* See image_output.h. */
#include "domain/image_output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/cleanup.h"

#define ZEROES_BYTES (64U << 10)

static int write_all(int fd, const unsigned char *data, size_t length, struct error *err)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "cannot write the image");
        data += n;
        length -= (size_t)n;
    }
    return 0;
}

static int await_reader(int fd, struct error *err)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLOUT}, {.fd = cancel_fd(), .events = POLLIN}};
    for (;;) {
        int n = poll(fds, ARRAY_SIZE(fds), IMAGE_OUTPUT_STALL_MS);
        if (n < 0 && errno != EINTR)
            return error_errno(err, errno, "cannot write the image");
        if (n < 0)
            continue;
        if (n == 0)
            return error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR,
                             "nobody has read the image from standard output for %d s",
                             IMAGE_OUTPUT_STALL_MS / 1000);
        return fds[1].revents != 0 ? cancel_check(err) : 0;
    }
}

/* A pipe that takes anything takes PIPE_BUF bytes without blocking: pipe(7). */
int image_output_write_stream(int fd, const unsigned char *data, size_t length, struct error *err)
{
    while (length > 0) {
        int r = await_reader(fd, err);
        if (r < 0)
            return r;
        ssize_t n = write(fd, data, length < PIPE_BUF ? length : PIPE_BUF);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return error_errno(err, errno, "cannot write the image");
        data += n;
        length -= (size_t)n;
    }
    return 0;
}

static bool is_zero(const unsigned char *data, size_t length)
{
    return data[0] == 0 && memcmp(data, data + 1, length - 1) == 0;
}

int image_output_write_sparse(int fd, const unsigned char *data, size_t length, struct error *err)
{
    for (size_t piece; length > 0; data += piece, length -= piece) {
        piece = length < ZEROES_BYTES ? length : ZEROES_BYTES;
        if (is_zero(data, piece)) {
            if (lseek(fd, (off_t)piece, SEEK_CUR) < 0)
                return error_errno(err, errno, "cannot write the image");
            continue;
        }
        int r = write_all(fd, data, piece, err);
        if (r < 0)
            return r;
    }
    return 0;
}
