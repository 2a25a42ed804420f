/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The streamed snapshot of a guest that does not run: a qemu-nbd of our own shows its disk, and the
 * image is made while it is uploaded. The guest may be started at any time, which nothing here
 * keeps it from: then what was read is of no instant, so that the image fails, at its last byte at
 * the latest.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/definition/disk_source.h"
#include "driver/image/image_stream.h"
#include "driver/libvirt/guest_rest.h"
#include "driver/libvirt_driver_private.h"

/* How often it is looked at whether there is any sense in reading on. */
#define LOOK_MS 1000

struct stopped_image {
    struct image_source base;
    char uuid[DRIVER_UUID_MAX];
    struct guest_rest rest;
    struct image_source *stream;
    uint64_t position;
    uint64_t look_ms; /* when it is looked at next */
};

static ssize_t stopped_read(struct image_source *source, void *buffer, size_t length,
                            struct error *err)
{
    struct stopped_image *image = (struct stopped_image *)source;
    ssize_t n = image->stream->ops->read(image->stream, buffer, length, err);
    if (n <= 0)
        return n;
    image->position += (size_t)n;
    if (image->position < source->size_bytes && clock_now_ms() < image->look_ms)
        return n;
    int r = guest_rest_check(&image->rest, err);
    image->look_ms = clock_now_ms() + LOOK_MS;
    if (r < 0)
        log_debug("what was read is of no use after %" PRIu64 " bytes: %s", image->position,
                  err->message);
    return r < 0 ? r : n;
}

static int stopped_rewind(struct image_source *source, struct error *err)
{
    struct stopped_image *image = (struct stopped_image *)source;
    image->position = 0;
    return image->stream->ops->rewind(image->stream, err);
}

static void stopped_close(struct image_source *source)
{
    struct stopped_image *image = (struct stopped_image *)source;
    image_source_close(image->stream);
    guest_rest_done(&image->rest);
    free(image);
}

/* qemu-img may still do what fails here. */
static int stopped_open_stream(struct libvirt_driver *driver, const struct guest_info *info,
                               const char *image_format, struct image_source **ret_stream,
                               struct error *err)
{
    struct disk_source source;
    int r = disk_source_find(info, &driver->rbd, &source, err);
    if (r == 0) {
        const struct image_stream_disk disk = {source.path, source.format, driver->disk_bytes_per_s,
                                               driver->stall_timeout_s};
        r = image_stream_of_disk(&disk, image_format, ret_stream, err);
    }
    if (r < 0 && r != -ECANCELED)
        err->errnum = EOPNOTSUPP;
    return r < 0 ? -err->errnum : 0;
}

int libvirt_stopped_stream(struct libvirt_driver *driver, const struct guest_info *info,
                           const struct snapshot_plan *plan, struct snapshot_result *ret_result,
                           struct error *err)
{
    static const struct image_source_ops ops = {
        .read = stopped_read, .rewind = stopped_rewind, .close = stopped_close};
    const struct guest_run run = {info->power_state, info->domain_id};
    struct stopped_image *image = calloc(1, sizeof(*image));
    if (!image)
        return error_nomem(err);
    image->base.ops = &ops;
    memcpy(image->uuid, info->uuid, sizeof(image->uuid));
    int r = guest_rest_begin(&image->rest, driver->connection, image->uuid, &run, err);
    if (r == 0)
        r = stopped_open_stream(driver, info, plan->image_format, &image->stream, err);
    failpoint("stopped:disk-shown");
    driver_tell_instant(plan->observer);
    if (r < 0) {
        log_debug("cannot stream the disk of the stopped guest: %s", err->message);
        stopped_close(&image->base);
        return r;
    }
    image->base.size_bytes = image->stream->size_bytes;
    image->look_ms = clock_now_ms() + LOOK_MS;
    log_debug("streaming disk %s of the stopped guest, %" PRIu64 " bytes", info->disk_target,
              image->base.size_bytes);
    *ret_result =
        (struct snapshot_result){.image = &image->base, .guest_is_back = true, .streamed = true};
    return 0;
}
