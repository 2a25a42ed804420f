/* SPDX-License-Identifier: Apache-2.0 */
/* What is on disk, against what was written. See image_file.h. Names begin with image_file_. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "domain/image_check.h"
#include "domain/image_file.h"
#include "driver/image/qemu_img.h"

#define PIECE_BYTES (1U << 20)

static int read_again(const struct image_file *file, int fd, EVP_MD_CTX *digest,
                      const struct image_observer *observer, struct error *err)
{
    cleanup_free unsigned char *buffer = malloc(PIECE_BYTES);
    uint64_t done = 0;
    if (!buffer)
        return error_nomem(err);
    for (;;) {
        ssize_t n = read(fd, buffer, PIECE_BYTES);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return error_errno(err, errno, "cannot read %s again", file->partial);
        if (n < 0)
            continue;
        image_digest_add(digest, buffer, (size_t)n);
        done += (uint64_t)n;
        image_file_tell(observer, IMAGE_PHASE_VERIFY, file->target, done, file->size_bytes);
        if (cancel_check(err) < 0)
            return -ECANCELED;
    }
}

static int compare_digests(const struct image_file *file, const struct image_observer *observer,
                           struct error *err)
{
    char sha256[IMAGE_DIGEST_SIZE];
    cleanup_digest EVP_MD_CTX *digest = image_digest_begin();
    cleanup_close int fd = open(file->partial, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (!digest)
        return error_nomem(err);
    if (fd < 0)
        return error_errno(err, errno, "cannot read %s again", file->partial);
    /* It was synced: what is read now comes from the disk. */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    int r = read_again(file, fd, digest, observer, err);
    if (r < 0)
        return r;
    image_digest_end(digest, sha256);
    if (strcmp(sha256, file->sha256) == 0)
        return 0;
    return error_set(err, EIO, EXC_INTERNAL_ERROR,
                     "%s reads back with SHA-256 %s, but %s was written: its storage is not to be "
                     "trusted",
                     file->partial, sha256, file->sha256);
}

static int check_header(struct image_file *file, struct error *err)
{
    struct qemu_img_info info = {0};
    int r = qemu_img_info(file->partial, file->format, &info, err);
    if (r < 0)
        return r;
    if (info.virtual_size_bytes != file->virtual_size_bytes)
        return error_set(err, EINVAL, EXC_INVALID_DISK_INFO,
                         "%s is an image of %" PRIu64 " bytes, of a disk of %" PRIu64,
                         file->partial, info.virtual_size_bytes, file->virtual_size_bytes);
    file->is_checked = image_check_can(file->format);
    return file->is_checked ? image_check_run(file->partial, file->format, err) : 0;
}

int image_file_verify(struct image_file *file, const struct image_observer *observer,
                      struct error *err)
{
    if (file->path[0] == '\0')
        return 0;
    int r = compare_digests(file, observer, err);
    return r < 0 ? r : check_header(file, err);
}
