/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an image goes: a file that has its name only when it is whole and verified, or standard
 * output. On one thread.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/image_source.h"
#include "domain/image_digest.h"
#include "domain/session.h"

enum image_phase { IMAGE_PHASE_COPY, IMAGE_PHASE_WRITE, IMAGE_PHASE_VERIFY };

/* Who is told how it goes on; it may not wait. */
struct image_observer {
    void (*progress)(void *arg, enum image_phase phase, const char *target, uint64_t done_bytes,
                     uint64_t total_bytes);
    void *arg;
};

/* NULL-safe. */
void image_file_tell(const struct image_observer *observer, enum image_phase phase,
                     const char *target, uint64_t done_bytes, uint64_t total_bytes);

struct image_file {
    char path[PATH_MAX];            /* absolute; "" = standard output */
    char partial[PATH_MAX];         /* what it is called until then */
    char target[DRIVER_FORMAT_MAX]; /* of the disk */
    const char *format;             /* borrowed */
    uint64_t virtual_size_bytes;
    uint64_t size_bytes; /* of the image */
    char sha256[IMAGE_DIGEST_SIZE];
    bool is_checked; /* by qemu-img check; formats that have none are not */
};

/*
 * Chooses the names; NULL is standard output. Nothing is made yet. EEXIST when there is a file of
 * the name, ENOENT or ENOTDIR when its folder is none, ENAMETOOLONG when one of the names is too
 * long for that, and what access() says of a folder that takes no files.
 */
int image_file_name(const char *path, struct image_file *ret_file, struct error *err);

/*
 * The same of what has its name from the beginning, as a folder, or is made by libvirt: only `path`
 * is looked at, which is not NULL, and not whether its folder takes it.
 */
int image_file_name_whole(const char *path, struct image_file *ret_file, struct error *err);

/*
 * Writes down what is about to be made, makes it, and writes all of the image: `size_bytes` and
 * `sha256` are those of what was read. ECANCELED.
 */
int image_file_write(struct image_file *file, struct session *session, struct image_source *source,
                     const struct image_observer *observer, struct error *err);

/*
 * Whether what is on disk is what was written: reads it again, past the page cache where that can
 * be told, has qemu-img check it, and compares its virtual size with the disk's. Standard output
 * cannot be verified, which is no failure. EIO or InvalidDiskInfo naming what is wrong.
 */
int image_file_verify(struct image_file *file, const struct image_observer *observer,
                      struct error *err);
