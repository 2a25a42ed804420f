/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of an image on their way from a driver to Glance.
 *
 * A driver makes one, glance_image_upload() reads it, whoever holds it closes it. Reads are
 * sequential; a retry starts again with rewind(), which must give the same bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

struct image_source {
    const struct image_source_ops *ops;
    uint64_t size_bytes; /* exact, known before the first read */
};

struct image_source_ops {
    /* Reads up to `length` bytes. Returns the count, 0 at the end, -errno with *err filled. */
    ssize_t (*read)(struct image_source *source, void *buffer, size_t length, struct error *err);

    /* Goes back to byte 0. Fails when the bytes can no longer be promised to be the same. */
    int (*rewind)(struct image_source *source, struct error *err);

    /* Frees the source and whatever stands behind it (files, jobs). */
    void (*close)(struct image_source *source);

    /* The same, but what a later process can make the image of again stays. NULL: there is nothing
     * of that kind, close() does. */
    void (*leave)(struct image_source *source);
};

/*
 * Opens a finished regular file (O_NOFOLLOW). On close it stays. The path is copied.
 * Rewinding fails with EIO when the size is no longer the one seen at the opening.
 */
int image_source_open_file(const char *path, struct image_source **ret_source, struct error *err);

/* What image_source_owning() ends with: both close `source` (NULL-safe) and free `owned`. */
struct image_source_owner {
    void (*close)(struct image_source *source, void *owned);
    void (*leave)(struct image_source *source, void *owned); /* NULL: close() does */
};

/*
 * Reads `source`, whose end is the end of `owned` too. Takes both on success, `owner` is static.
 * Returns owned. ENOMEM.
 */
int image_source_owning(struct image_source *source, void *owned,
                        const struct image_source_owner *owner, struct image_source **ret_source,
                        struct error *err);

/* source->ops->close, NULL-safe. */
void image_source_close(struct image_source *source);

/* source->ops->leave, for whoever ends and is to be followed. NULL-safe. */
void image_source_leave(struct image_source *source);
