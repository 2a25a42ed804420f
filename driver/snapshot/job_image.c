/* SPDX-License-Identifier: Apache-2.0 */
/* See job_image.h. */
#include "driver/snapshot/job_image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/image/image_stream.h"

/* What stands behind the stream. */
struct job_image {
    struct libvirt_connection *connection;
    char uuid[DRIVER_UUID_MAX];
    char disk_target[DRIVER_FORMAT_MAX];
    struct backup_job job;     /* its strings are disk_target and of the staging */
    struct nbd_client *client; /* until the stream has it */
    struct disk_space *space;  /* what watches over the scratch file goes with the image */
    struct staging *staging;
};

/* A guest that has ended has none any more. */
static void job_image_end_job(struct job_image *image)
{
    CANCEL_SHIELD();
    cleanup_domain virDomainPtr domain = NULL;
    struct error failure = ERROR_INIT;
    int r = libvirt_connection_find_domain(image->connection, image->uuid, 0,
                                           EXC_INSTANCE_NOT_FOUND, &domain, &failure);
    if (r == 0 && virDomainIsActive(domain) == 1)
        r = backup_job_undo(&image->job, domain, &failure);
    if (r == 0)
        log_debug("the backup job of disk %s is over", image->disk_target);
    else
        log_warning("backup job not ended yet, the cleanup of the guest will retry: %s",
                    failure.message);
}

static void job_image_close(struct image_source *stream, void *owned)
{
    struct job_image *image = owned;
    job_image_end_job(image);
    failpoint("stream:job-ended");
    image_source_close(stream);
    nbd_client_free(image->client);
    disk_space_release(image->space);
    staging_leave(image->staging);
    free(image);
}

static struct job_image *job_image_new(const struct live_snapshot *op)
{
    struct job_image *image = calloc(1, sizeof(*image));
    if (!image)
        return NULL;
    image->connection = op->driver->connection;
    memcpy(image->uuid, op->info->uuid, sizeof(image->uuid));
    memcpy(image->disk_target, op->info->disk_target, sizeof(image->disk_target));
    image->job = op->backup;
    image->job.disk_target = image->disk_target;
    return image;
}

static int job_image_stream(struct job_image *image, const struct live_snapshot *op,
                            struct image_source **ret_stream, struct error *err)
{
    int r = nbd_client_new(op->driver->stall_timeout_s, &image->client, err);
    if (r < 0)
        return r;
    r = nbd_client_connect(image->client, image->job.socket_path, image->disk_target, err);
    failpoint("stream:connected");
    if (r < 0)
        return r;
    r = image_stream_open(image->client, op->plan->image_format, op->driver->disk_bytes_per_s,
                          ret_stream, err);
    failpoint("stream:mapped");
    if (r < 0)
        return r;
    image->client = NULL;
    log_debug("the image is made from the backup job as it is sent, %" PRIu64 " bytes",
              (*ret_stream)->size_bytes);
    return 0;
}

int job_image_open(struct live_snapshot *op, struct image_source **ret_source, struct error *err)
{
    static const struct image_source_owner owner = {.close = job_image_close};
    struct image_source *stream = NULL;
    struct job_image *image = job_image_new(op);
    if (!image)
        return error_nomem(err);
    int r = job_image_stream(image, op, &stream, err);
    if (r == 0)
        r = image_source_owning(stream, image, &owner, ret_source, err);
    if (r < 0) {
        job_image_close(stream, image);
        return r;
    }
    image->space = TAKE_PTR(op->space);
    image->staging = TAKE_PTR(op->staging);
    return 0;
}
