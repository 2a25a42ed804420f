/* SPDX-License-Identifier: Apache-2.0 */
/* See job_image.h. */
#include "driver/snapshot/job_image.h"

#include <stdlib.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/image/image_stream.h"

struct job_image {
    struct image_source base;
    struct libvirt_connection *connection;
    char uuid[DRIVER_UUID_MAX];
    char disk_target[DRIVER_FORMAT_MAX];
    struct backup_job job;       /* its strings are disk_target and of the staging */
    struct nbd_client *client;   /* until the stream has it */
    struct image_source *stream; /* NULL until it is open */
    struct disk_space *space;    /* what watches over the scratch file goes with the image */
    struct staging *staging;
};

static ssize_t image_read(struct image_source *source, void *buffer, size_t length,
                          struct error *err)
{
    struct image_source *stream = ((struct job_image *)source)->stream;
    return stream->ops->read(stream, buffer, length, err);
}

static int image_rewind(struct image_source *source, struct error *err)
{
    struct image_source *stream = ((struct job_image *)source)->stream;
    return stream->ops->rewind(stream, err);
}

/* A guest that has ended has none any more. */
static void end_job(struct job_image *image)
{
    CANCEL_SHIELD();
    cleanup_domain virDomainPtr domain = NULL;
    struct error failure = ERROR_INIT;
    int r = libvirt_connection_find_domain(image->connection, image->uuid, 0,
                                           EXC_INSTANCE_NOT_FOUND, &domain, &failure);
    if (r == 0 && virDomainIsActive(domain) == 1)
        r = backup_job_undo(&image->job, domain, &failure);
    if (r < 0)
        log_warning("the backup job goes on when its reader closes: %s", failure.message);
}

static void image_close(struct image_source *source)
{
    struct job_image *image = (struct job_image *)source;
    end_job(image);
    failpoint("stream:job-ended");
    image_source_close(image->stream);
    nbd_client_free(image->client);
    disk_space_release(image->space);
    staging_leave(image->staging);
    free(image);
}

static struct job_image *new_image(const struct live_snapshot *op)
{
    static const struct image_source_ops ops = {
        .read = image_read, .rewind = image_rewind, .close = image_close};
    struct job_image *image = calloc(1, sizeof(*image));
    if (!image)
        return NULL;
    image->base.ops = &ops;
    image->connection = op->driver->connection;
    memcpy(image->uuid, op->info->uuid, sizeof(image->uuid));
    memcpy(image->disk_target, op->info->disk_target, sizeof(image->disk_target));
    image->job = op->backup;
    image->job.disk_target = image->disk_target;
    return image;
}

static int open_stream(struct job_image *image, const struct live_snapshot *op, struct error *err)
{
    int r = nbd_client_new(op->driver->stall_timeout_s, &image->client, err);
    if (r == 0)
        r = nbd_client_connect(image->client, image->job.socket_path, image->disk_target, err);
    failpoint("stream:connected");
    if (r == 0)
        r = image_stream_open(image->client, op->plan->image_format, op->driver->disk_bytes_per_s,
                              &image->stream, err);
    failpoint("stream:mapped");
    if (r < 0)
        return r;
    image->client = NULL;
    image->base.size_bytes = image->stream->size_bytes;
    return 0;
}

int job_image_open(struct live_snapshot *op, struct image_source **ret_source, struct error *err)
{
    struct job_image *image = new_image(op);
    if (!image)
        return error_nomem(err);
    int r = open_stream(image, op, err);
    if (r < 0) {
        image_close(&image->base);
        return r;
    }
    image->space = TAKE_PTR(op->space);
    image->staging = TAKE_PTR(op->staging);
    *ret_source = &image->base;
    return 0;
}
