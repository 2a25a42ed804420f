/* SPDX-License-Identifier: Apache-2.0 */
/* The image source that is a file, and the one that owns more. See image_source.h. */
#include "common/image_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

struct file_source {
    struct image_source base;
    char *path;
    int fd;
};

static ssize_t file_read(struct image_source *source, void *buffer, size_t length,
                         struct error *err)
{
    struct file_source *file = (struct file_source *)source;
    for (;;) {
        ssize_t n = read(file->fd, buffer, length);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return error_errno(err, errno, "cannot read %s", file->path);
    }
}

static int check_size(const struct file_source *file, struct error *err)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return error_errno(err, errno, "cannot stat %s", file->path);
    if ((uint64_t)st.st_size != file->base.size_bytes)
        return error_set(err, EIO, EXC_INTERNAL_ERROR,
                         "%s changed its size from %llu to %llu bytes during the upload",
                         file->path, (unsigned long long)file->base.size_bytes,
                         (unsigned long long)st.st_size);
    return 0;
}

static int file_rewind(struct image_source *source, struct error *err)
{
    struct file_source *file = (struct file_source *)source;
    int r = check_size(file, err);
    if (r < 0)
        return r;
    if (lseek(file->fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "cannot rewind %s", file->path);
    return 0;
}

static void file_close(struct image_source *source)
{
    struct file_source *file = (struct file_source *)source;
    (void)close(file->fd);
    free(file->path);
    free(file);
}

int image_source_open_file(const char *path, struct image_source **ret_source, struct error *err)
{
    static const struct image_source_ops ops = {
        .read = file_read, .rewind = file_rewind, .close = file_close};
    /* O_NONBLOCK: opening a FIFO must not wait for its writer. */
    cleanup_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "cannot open %s", path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "cannot stat %s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s is not a regular file", path);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);

    cleanup_free char *copy = strdup(path);
    struct file_source *file = calloc(1, sizeof(*file));
    if (!copy || !file) {
        free(file);
        return error_nomem(err);
    }
    file->base = (struct image_source){.ops = &ops, .size_bytes = (uint64_t)st.st_size};
    file->path = TAKE_PTR(copy);
    file->fd = fd;
    fd = -1;
    *ret_source = &file->base;
    return 0;
}

struct owning_source {
    struct image_source base;
    struct image_source *source;
    void *owned;
    const struct image_source_owner *owner;
};

static ssize_t owning_read(struct image_source *base, void *buffer, size_t length,
                           struct error *err)
{
    struct image_source *source = ((struct owning_source *)base)->source;
    return source->ops->read(source, buffer, length, err);
}

static int owning_rewind(struct image_source *base, struct error *err)
{
    struct image_source *source = ((struct owning_source *)base)->source;
    return source->ops->rewind(source, err);
}

static void owning_close(struct image_source *base)
{
    struct owning_source *owning = (struct owning_source *)base;
    owning->owner->close(owning->source, owning->owned);
    free(owning);
}

static void owning_leave(struct image_source *base)
{
    struct owning_source *owning = (struct owning_source *)base;
    void (*leave)(struct image_source *, void *) = owning->owner->leave;
    (leave ? leave : owning->owner->close)(owning->source, owning->owned);
    free(owning);
}

int image_source_owning(struct image_source *source, void *owned,
                        const struct image_source_owner *owner, struct image_source **ret_source,
                        struct error *err)
{
    static const struct image_source_ops ops = {owning_read, owning_rewind, owning_close,
                                                owning_leave};
    struct owning_source *owning = calloc(1, sizeof(*owning));
    if (!owning)
        return error_nomem(err);
    owning->base = (struct image_source){.ops = &ops, .size_bytes = source->size_bytes};
    owning->source = source;
    owning->owned = owned;
    owning->owner = owner;
    *ret_source = &owning->base;
    return 0;
}

void image_source_close(struct image_source *source)
{
    if (source)
        source->ops->close(source);
}

void image_source_leave(struct image_source *source)
{
    if (source && source->ops->leave)
        source->ops->leave(source);
    else
        image_source_close(source);
}
