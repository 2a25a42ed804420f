/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer goes out of a volume, as nova's _volume_snapshot_delete: by a block job of an active
 * guest, else with qemu-img. Cinder removes the file when it hears of success, so that nothing but
 * the chain as it is afterwards counts as success.
 */
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/block/block_job.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt_driver_private.h"
#include "driver/volume/chain.h"
#include "driver/volume/layer_merge.h"
#include "driver/volume/merge_job.h"
#include "driver/volume/volume.h"

struct volume_deletion {
    struct libvirt_driver *driver;
    const char *uuid;
    const struct volume_merge *merge;
    virDomainPtr domain;      /* owned; NULL when it was handed on */
    struct volume_disk *disk; /* owned: as it is before */
    bool active;
    bool joins; /* a merge is under way, which an earlier call has begun */
    struct volume_merge_plan plan;
};

static int delete_online(struct volume_deletion *op, struct error *err)
{
    __attribute__((cleanup(merge_job_done))) struct merge_job merge = {
        .connection = op->driver->connection,
        .uuid = op->uuid,
        .volume_id = op->merge->volume_id,
        .disk = op->disk,
        .plan = &op->plan,
        .stall_timeout_s = op->driver->stall_timeout_s,
        .join = op->joins,
        .domain = TAKE_PTR(op->domain)};
    return merge_job_run(&merge, err);
}

static int delete_check_merged(struct volume_deletion *op, struct error *err)
{
    cleanup_volume_disk struct volume_disk *now = NULL;
    bool active = false;
    int r = libvirt_volume_read(op->domain, op->merge->volume_id, &active, &now, err);
    if (r < 0)
        return r;
    if (!volume_chain_is_merged(op->disk, &op->plan, now))
        return error_set(err, EIO, EXC_INTERNAL_ERROR,
                         "disk %s does not have the layers it should after a rebase",
                         op->disk->target);
    return 0;
}

/* The name in the header stays relative: Cinder mounts the share elsewhere. */
static int delete_offline(struct volume_deletion *op, struct error *err)
{
    const struct volume_disk *disk = op->disk;
    bool has_base = op->plan.end < disk->layer_count;
    const struct qemu_img_rebase rebase = {
        .path = disk->layers[0].path,
        .backing_file = has_base ? op->merge->file_to_merge : NULL,
        .backing_format = has_base ? disk->layers[op->plan.end].format : NULL,
        .stall_timeout_s = op->driver->stall_timeout_s};
    if (strcmp(disk->layers[0].format, "qcow2") != 0)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "disk %s is not in qcow2 format",
                         disk->target);
    int r = qemu_img_rebase(&rebase, err);
    return r < 0 ? r : delete_check_merged(op, err);
}

static bool delete_has_nothing_to_do(const struct volume_deletion *op)
{
    return op->plan.first == op->plan.end;
}

/* A job that an earlier call began is joined; any other kind is somebody else's. */
static int delete_check_jobs(struct volume_deletion *op, struct error *err)
{
    const char *target = op->disk->target;
    struct error busy = ERROR_INIT;
    virDomainBlockJobInfo job;
    int r = block_job_check_idle(op->domain, op->uuid, target, &busy);
    if (r == -EBUSY)
        r = layer_merge_find(op->domain, target, &op->plan, &job, &op->joins, err);
    if (r == 0 && (busy.errnum == 0 || op->joins))
        return 0;
    if (err->errnum == 0)
        *err = busy;
    return -err->errnum;
}

static int delete_prepare(struct volume_deletion *op, struct error *err)
{
    int r = libvirt_volume_find_domain(op->driver->connection, op->uuid, 0, &op->domain, err);
    if (r < 0)
        return r;
    r = libvirt_volume_read(op->domain, op->merge->volume_id, &op->active, &op->disk, err);
    if (r < 0)
        return r;
    r = volume_chain_plan(op->disk, op->merge, &op->plan, err);
    if (r < 0)
        return r;
    log_debug("volume %s: layers %zu to %zu go by %s (equal: they have gone)", op->merge->volume_id,
              op->plan.first, op->plan.end,
              !op->active       ? "qemu-img rebase"
              : op->plan.commit ? "block commit"
                                : "block pull");
    if (delete_has_nothing_to_do(op))
        return 0;
    if (op->active)
        return delete_check_jobs(op, err);
    if (op->merge->merge_target_file)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "a layer of a volume is merged down only while its guest runs");
    return 0;
}

static void volume_deletion_done(struct volume_deletion *op)
{
    volume_disk_free(op->disk);
    cleanup_free_domain(&op->domain);
}

static int delete_layers(struct volume_deletion *op, struct error *err)
{
    int r = delete_prepare(op, err);
    if (r < 0 || delete_has_nothing_to_do(op))
        return r;
    r = op->active ? delete_online(op, err) : delete_offline(op, err);
    failpoint("volume:merged");
    return r;
}

int libvirt_volume_delete(struct libvirt_driver *driver, const char *uuid,
                          const struct volume_merge *merge, struct error *err)
{
    for (bool again = false;; again = true) {
        __attribute__((cleanup(volume_deletion_done))) struct volume_deletion op = {
            .driver = driver, .uuid = uuid, .merge = merge};
        struct error failure = ERROR_INIT;
        int r = delete_layers(&op, &failure);
        if (r == 0)
            return 0;
        /* The earlier call's merge may have ended without success: then this one is begun. */
        if (again || !op.joins || r == -ETIMEDOUT || r == -ECANCELED)
            return libvirt_volume_fail(uuid, &failure, err);
        log_debug("an earlier merge of volume %s has failed, merging anew: %s", merge->volume_id,
                  failure.message);
    }
}
