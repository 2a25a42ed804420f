/* SPDX-License-Identifier: Apache-2.0 */
/* See qcow2_mark.h. */
#include "driver/image/qcow2_mark.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

#define MAGIC 0x514649fb /* "QFI\xfb" */
#define HEADER_MIN 104   /* of version 3 */
#define HEADER_LENGTH_AT 100
#define EXTENSION_HEAD_BYTES 8
#define LOOK_BYTES 4096 /* an extension behind that is none we have written */

static uint32_t get_32(const unsigned char *at)
{
    uint32_t big;
    memcpy(&big, at, sizeof(big));
    return be32toh(big);
}

static void find_mark(const unsigned char *header, size_t size,
                      char ret_mark[static QCOW2_MARK_MAX + 1])
{
    size_t at = get_32(header + HEADER_LENGTH_AT);
    ret_mark[0] = '\0';
    while (at <= size && size - at >= EXTENSION_HEAD_BYTES) {
        uint32_t type = get_32(header + at), length = get_32(header + at + 4);
        const unsigned char *data = header + at + EXTENSION_HEAD_BYTES;
        if (type == 0 || length > size - at - EXTENSION_HEAD_BYTES)
            return;
        if (type == QCOW2_MARK_EXTENSION && length <= QCOW2_MARK_MAX) {
            memcpy(ret_mark, data, length);
            ret_mark[length] = '\0';
            return;
        }
        at += EXTENSION_HEAD_BYTES + ((size_t)length + 7) / 8 * 8;
    }
}

int qcow2_mark_read(const char *path, char ret_mark[static QCOW2_MARK_MAX + 1], struct error *err)
{
    unsigned char header[LOOK_BYTES];
    cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, header, sizeof(header), 0);
    if (n < 0)
        return error_errno(err, errno, "cannot read %s", path);
    if (n < HEADER_MIN || get_32(header) != MAGIC || get_32(header + 4) < 3)
        return error_set(err, EINVAL, EXC_INVALID_DISK_INFO, "%s is no qcow2 image of version 3",
                         path);
    find_mark(header, (size_t)n, ret_mark);
    return 0;
}
