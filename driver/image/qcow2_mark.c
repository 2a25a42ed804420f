/* SPDX-License-Identifier: Apache-2.0 */
/* See qcow2_mark.h. */
#include "driver/image/qcow2_mark.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

#define MAGIC 0x514649fb /* "QFI\xfb" */
#define HEADER_MIN_2 72  /* of version 2, whose header does not tell its length */
#define HEADER_MIN_3 104
#define HEADER_LENGTH_AT 100
#define BACKING_NAME_AT 8
#define CLUSTER_BITS_AT 20
#define CLUSTER_BITS_MIN 9
#define CLUSTER_BITS_MAX 21
#define EXTENSION_HEAD_BYTES 8
#define LOOK_BYTES 4096
/* What begins behind that is no extension we have written. */
#define LAST_AT (LOOK_BYTES - EXTENSION_HEAD_BYTES - QCOW2_MARK_MAX)

/* The part of a header that has its extensions. */
struct extensions {
    const unsigned char *header;
    uint64_t begin, end; /* of all; of those there are LOOK_BYTES at most in `header` */
};

static uint32_t get_32(const unsigned char *at)
{
    uint32_t big;
    memcpy(&big, at, sizeof(big));
    return be32toh(big);
}

static uint64_t get_64(const unsigned char *at)
{
    uint64_t big;
    memcpy(&big, at, sizeof(big));
    return be64toh(big);
}

/* By the same bounds as QEMU, block/qcow2.c: qcow2_do_open(). */
static bool find_extensions(const unsigned char *header, size_t size,
                            struct extensions *ret_extensions)
{
    bool has_length = get_32(header + 4) > 2;
    uint32_t bits = get_32(header + CLUSTER_BITS_AT);
    size_t least = has_length ? HEADER_MIN_3 : HEADER_MIN_2;
    if (size < least || bits < CLUSTER_BITS_MIN || bits > CLUSTER_BITS_MAX)
        return false;
    uint64_t cluster_bytes = UINT64_C(1) << bits, name_at = get_64(header + BACKING_NAME_AT);
    uint64_t begin = has_length ? get_32(header + HEADER_LENGTH_AT) : least;
    uint64_t end = name_at != 0 ? name_at : cluster_bytes;
    if (begin < least || begin > cluster_bytes || end > cluster_bytes ||
        size < (end < LOOK_BYTES ? end : LOOK_BYTES))
        return false;
    *ret_extensions = (struct extensions){header, begin, end};
    return true;
}

static bool take_mark(const unsigned char *data, uint32_t length,
                      char ret_mark[static QCOW2_MARK_MAX + 1])
{
    if (length == 0 || length > QCOW2_MARK_MAX || memchr(data, '\0', length))
        return false;
    memcpy(ret_mark, data, length);
    ret_mark[length] = '\0';
    return true;
}

/* In any order. */
static bool find_marks(const struct extensions *all, struct qcow2_marks *marks)
{
    uint64_t at = all->begin;
    while (at < all->end && at <= LAST_AT) {
        if (all->end - at < EXTENSION_HEAD_BYTES)
            return false;
        uint32_t type = get_32(all->header + at), length = get_32(all->header + at + 4);
        uint64_t data = at + EXTENSION_HEAD_BYTES;
        if (length > all->end - data)
            return false;
        if (type == 0)
            return true;
        if (type == QCOW2_MARK_EXTENSION && !take_mark(all->header + data, length, marks->own))
            return false;
        if (type == QCOW2_BASE_MARK_EXTENSION &&
            !take_mark(all->header + data, length, marks->base))
            return false;
        at = data + ((uint64_t)length + 7) / 8 * 8;
    }
    return true;
}

int qcow2_mark_parse(const unsigned char *header, size_t size, const char *path,
                     struct qcow2_marks *ret_marks, struct error *err)
{
    struct extensions extensions;
    struct qcow2_marks marks = {0};
    if (size < HEADER_MIN_2 || get_32(header) != MAGIC || get_32(header + 4) < 2 ||
        get_32(header + 4) > 3)
        return error_set(err, EINVAL, EXC_INVALID_DISK_INFO,
                         "%s is no qcow2 image of version 2 or 3", path);
    if (!find_extensions(header, size, &extensions) || !find_marks(&extensions, &marks))
        return error_set(err, EINVAL, EXC_INVALID_DISK_INFO, "%s: its qcow2 header is damaged",
                         path);
    *ret_marks = marks;
    return 0;
}

int qcow2_mark_read(const char *path, struct qcow2_marks *ret_marks, struct error *err)
{
    unsigned char header[LOOK_BYTES];
    cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, header, sizeof(header), 0);
    if (n < 0)
        return error_errno(err, errno, "cannot read %s", path);
    return qcow2_mark_parse(header, (size_t)n, path, ret_marks, err);
}
