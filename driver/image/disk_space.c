/* SPDX-License-Identifier: Apache-2.0 */
/* See disk_space.h. */
#include "driver/image/disk_space.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "driver/image/qemu_img.h"

#define LOOK_MS 1000
#define LEAST_BYTES (UINT64_C(4) << 20)
#define ROOM_BYTES (UINT64_C(64) << 20)
#define ROOM_DIVISOR 8 /* and an eighth of the disk's top layer */

struct disk_space {
    struct disk_space *older;
    const struct staging *staging;
    dev_t file_system;
    uint64_t needed_bytes, keep_free_bytes;
    struct cancel *cancel; /* NULL: nobody can give it up */
    pthread_t watcher;
    pthread_cond_t released_cond;
    bool released;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of every account */
static struct disk_space *youngest;

static uint64_t allocated_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

/*
 * Measured, because the size on the file system tells little: it may be reserved in advance, or the
 * data be compressed. Measuring may fail while the guest writes to the qcow2 tables.
 */
static int measure_layer(const struct guest_info *info, uint64_t *ret_bytes, struct error *err)
{
    struct error unknown = ERROR_INIT;
    bool is_qcow2 = strcmp(info->disk_format, "qcow2") == 0;
    int r = qemu_img_measure_layer(info->disk_path, info->disk_format,
                                   is_qcow2 ? info->cluster_size_bytes : 0, ret_bytes, &unknown);
    if (r == 0)
        return 0;
    if (cancel_check(err) < 0)
        return -ECANCELED;
    *ret_bytes = allocated_bytes(info->disk_path);
    log_debug("disk space: what the top layer takes on its file system counts, %" PRIu64
              " bytes: %s",
              *ret_bytes, unknown.message);
    return 0;
}

static int measure_image(const struct guest_info *info, uint64_t *ret_bytes, struct error *err)
{
    struct error unknown = ERROR_INIT;
    int r = qemu_img_measure(info->disk_path, info->disk_format, ret_bytes, &unknown);
    if (r == 0)
        return 0;
    if (cancel_check(err) < 0)
        return -ECANCELED;
    *ret_bytes = allocated_bytes(info->disk_path) +
                 (info->backing_path[0] ? allocated_bytes(info->backing_path) : 0);
    log_debug("disk space: what the disk's files take counts, %" PRIu64 " bytes: %s", *ret_bytes,
              unknown.message);
    return 0;
}

int disk_space_need(const struct guest_info *info, unsigned parts, uint64_t *ret_bytes,
                    struct error *err)
{
    uint64_t layer = 0, image = 0;
    *ret_bytes = 0;
    if (info->source_type != DISK_SOURCE_FILE)
        return 0;
    if (parts & (DISK_SPACE_OVERLAY | DISK_SPACE_ROOM) && measure_layer(info, &layer, err) < 0)
        return -err->errnum;
    if (parts & DISK_SPACE_IMAGE && measure_image(info, &image, err) < 0)
        return -err->errnum;
    if (parts & DISK_SPACE_OVERLAY)
        *ret_bytes += layer;
    if (parts & DISK_SPACE_ROOM)
        *ret_bytes += layer / ROOM_DIVISOR + ROOM_BYTES;
    *ret_bytes += image;
    log_debug("disk space: the snapshot may write %" PRIu64 " bytes: top layer %" PRIu64
              ", image %" PRIu64,
              *ret_bytes, layer, image);
    return 0;
}

/* The file system of the staging, by the folder above it. */
static int read_free_space(const struct staging *staging, dev_t *ret_file_system,
                           uint64_t *ret_free_bytes, struct error *err)
{
    char parent[DRIVER_PATH_MAX];
    struct statvfs space;
    struct stat st;
    (void)snprintf(parent, sizeof(parent), "%s", staging_directory(staging));
    *strrchr(parent, '/') = '\0';
    if (stat(parent, &st) < 0 || statvfs(parent, &space) < 0)
        return error_errno(err, errno, "cannot read how much space is free in %s", parent);
    *ret_file_system = st.st_dev;
    *ret_free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
    return 0;
}

/* What has been written is no longer free anyway. */
static uint64_t outstanding_bytes(const struct disk_space *space)
{
    uint64_t written = allocated_bytes(staging_image_path(space->staging)) +
                       allocated_bytes(staging_delta_path(space->staging));
    return written < space->needed_bytes ? space->needed_bytes - written : 0;
}

static int check_fits(const struct disk_space *space, uint64_t free_bytes, struct error *err)
{
    uint64_t reserved = space->keep_free_bytes;
    for (const struct disk_space *other = youngest; other; other = other->older)
        if (other->file_system == space->file_system)
            reserved += outstanding_bytes(other);
    if (reserved <= free_bytes && space->needed_bytes <= free_bytes - reserved)
        return 0;
    return error_set(err, ENOSPC, EXC_INTERNAL_ERROR,
                     "not enough space for %s: up to %" PRIu64 " bytes are needed, %" PRIu64
                     " bytes are free, of which %" PRIu64 " bytes are reserved",
                     staging_directory(space->staging), space->needed_bytes, free_bytes, reserved);
}

/* The youngest that can be cancelled is next. It stays that until its files are removed, so that no
 * other is cancelled meanwhile. */
static bool is_next_to_go(const struct disk_space *space)
{
    const struct disk_space *first = youngest;
    while (first && (first->file_system != space->file_system || !first->cancel))
        first = first->older;
    return first == space;
}

int disk_space_check(const struct disk_space *space, struct error *err)
{
    dev_t file_system;
    uint64_t free_bytes = 0;
    int r = read_free_space(space->staging, &file_system, &free_bytes, err);
    if (r < 0 || (free_bytes >= space->keep_free_bytes && free_bytes >= LEAST_BYTES))
        return r;
    return error_set(err, ENOSPC, EXC_INTERNAL_ERROR,
                     "the file system of %s is running out of space: %" PRIu64
                     " bytes are free, %" PRIu64 " bytes are to stay free",
                     staging_directory(space->staging), free_bytes, space->keep_free_bytes);
}

static void give_up_if_short(const struct disk_space *space)
{
    struct error reason = ERROR_INIT;
    if (is_next_to_go(space) && disk_space_check(space, &reason) == -ENOSPC)
        cancel_request(space->cancel, &reason);
}

static void *watch_space(void *arg)
{
    struct disk_space *space = arg;
    LOCK_SCOPE(&lock);
    while (!space->released) {
        const struct timespec next = clock_deadline(LOOK_MS);
        if (pthread_cond_timedwait(&space->released_cond, &lock, &next) == ETIMEDOUT)
            give_up_if_short(space);
    }
    return NULL;
}

static int enter_account(struct disk_space *space, struct error *err)
{
    uint64_t free_bytes = 0;
    LOCK_SCOPE(&lock);
    int r = read_free_space(space->staging, &space->file_system, &free_bytes, err);
    if (r < 0)
        return r;
    r = check_fits(space, free_bytes, err);
    if (r < 0)
        return r;
    r = pthread_create(&space->watcher, NULL, watch_space, space);
    if (r != 0)
        return error_errno(err, r, "cannot watch over the space for the snapshot");
    space->older = youngest;
    youngest = space;
    log_debug("disk space: up to %" PRIu64 " of %" PRIu64 " free bytes are reserved for %s",
              space->needed_bytes, free_bytes, staging_directory(space->staging));
    return 0;
}

int disk_space_reserve(const struct staging *staging, uint64_t needed_bytes,
                       uint64_t keep_free_bytes, struct disk_space **ret_space, struct error *err)
{
    struct disk_space *space = calloc(1, sizeof(*space));
    if (!space)
        return error_nomem(err);
    space->staging = staging;
    space->needed_bytes = needed_bytes;
    space->keep_free_bytes = keep_free_bytes;
    space->cancel = cancel_current();
    clock_cond_init(&space->released_cond);
    int r = enter_account(space, err);
    if (r == 0) {
        *ret_space = space;
        return 0;
    }
    (void)pthread_cond_destroy(&space->released_cond);
    free(space);
    return r;
}

uint64_t disk_space_bytes(const struct disk_space *space)
{
    return space->needed_bytes;
}

static void leave_account(struct disk_space *space)
{
    LOCK_SCOPE(&lock);
    struct disk_space **link = &youngest;
    while (*link != space)
        link = &(*link)->older;
    *link = space->older;
    space->released = true;
    (void)pthread_cond_signal(&space->released_cond);
}

void disk_space_release(struct disk_space *space)
{
    if (!space)
        return;
    leave_account(space);
    (void)pthread_join(space->watcher, NULL);
    (void)pthread_cond_destroy(&space->released_cond);
    free(space);
}
