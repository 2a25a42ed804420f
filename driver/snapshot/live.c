/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live snapshot, as nova's _live_snapshot: the root disk's top layer is copied into an overlay
 * of the same backing file, the copy is ended without a pivot, the image is made from the overlay
 * with its backing file: while it is uploaded, or by qemu-img where it has to be a file first. The
 * guest never stops.
 *
 * blockRebase takes no persistent domain, so the definition is taken away meanwhile; blockCopy
 * does. live_undo() runs on every exit and puts back whatever the progress of each part
 * says, and does so for a process that has died when the journal has told it the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/image/qemu_img.h"
#include "driver/snapshot/live_snapshot.h"
#include "driver/snapshot/staged_image.h"

static int live_make_overlay(struct live_snapshot *op, struct error *err)
{
    const struct guest_info *info = op->info;
    int r = staging_make(op->staging, STAGING_TRAVERSABLE, err);
    if (r < 0)
        return r;
    failpoint("live:staging-made");
    bool is_qcow2 = strcmp(info->disk_format, "qcow2") == 0;
    bool has_backing = info->backing_path[0] != '\0';
    const struct qemu_img_overlay overlay = {
        .path = staging_delta_path(op->staging),
        .size_bytes = info->virtual_size_bytes,
        .cluster_size_bytes = is_qcow2 ? info->cluster_size_bytes : 0,
        .backing_path = has_backing ? info->backing_path : NULL,
        .backing_format = has_backing ? info->backing_format : NULL};
    r = qemu_img_create_overlay(&overlay, err);
    return r < 0 ? r : live_snapshot_give_delta(op, err);
}

/* The point in time of the image. The guest's filesystems stand still for no more than this. */
static int live_take_instant(struct live_snapshot *op, bool *ret_quiesced, struct error *err)
{
    CANCEL_SHIELD();
    struct error failure = ERROR_INIT;
    uint64_t since_ms = clock_now_ms();
    int r = guest_quiesce_start(&op->quiesce, &op->freeze, op->domain, ret_quiesced, err);
    failpoint("live:frozen");
    if (r == 0)
        r = block_copy_end(&op->copy, op->domain, err);
    if (r == 0)
        driver_tell_instant(op->plan->observer);
    failpoint("live:copy-ended");
    if (guest_quiesce_end(&op->quiesce, &op->freeze, op->domain, ret_quiesced, &failure) == 0) {
        failpoint("live:thawed");
        log_debug("end of the copy, %s freeze: %s after %" PRIu64 " ms",
                  *ret_quiesced ? "within a" : "without a", r < 0 ? "failed" : "done",
                  clock_now_ms() - since_ms);
        return r;
    }
    error_join(err, &failure);
    return -err->errnum;
}

static int live_start_copy(struct live_snapshot *op, struct error *err)
{
    int r = live_make_overlay(op, err);
    if (r < 0)
        return r;
    failpoint("live:overlay-made");
    if (saved_definition_undefine(&op->definition, op->domain, err) < 0)
        return live_snapshot_unusable(op, err);
    failpoint("live:undefined");
    r = block_copy_start(&op->copy, op->driver->connection, op->domain, err);
    return r == -EIO && op->copy.transient_job ? live_snapshot_unusable(op, err) : r;
}

int live_copy_prepare(struct live_snapshot *op, struct error *err)
{
    int r = live_snapshot_check(op, err);
    return r < 0 ? r : live_snapshot_begin(op, DISK_SPACE_OVERLAY | DISK_SPACE_ROOM, err);
}

static int live_copy_disk(struct live_snapshot *op, bool *ret_quiesced, struct error *err)
{
    int r = live_copy_prepare(op, err);
    failpoint("live:written-down");
    if (r < 0)
        return r;
    r = live_start_copy(op, err);
    if (r < 0)
        return r;
    log_debug("copy of disk %s into %s started", op->info->disk_target,
              staging_directory(op->staging));
    failpoint("live:copy-started");
    r = block_copy_await_ready(&op->copy, op->domain, err);
    if (r < 0)
        return r;
    log_debug("copy of disk %s is ready", op->info->disk_target);
    failpoint("live:copy-ready");
    r = live_take_instant(op, ret_quiesced, err);
    if (r < 0)
        return r;
    r = block_copy_confirm_end(&op->copy, op->domain, err);
    if (r < 0)
        return r;
    qemu_user_take_back(staging_delta_path(op->staging));
    return disk_space_check(op->space, err);
}

/* The overlay is all that is needed: the image is made from it while it is uploaded. */
static int live_stream_overlay(struct live_snapshot *op, struct snapshot_result *result,
                               struct error *err)
{
    int r = staged_image_write(op->plan->journal, op->staging, STAGED_OVERLAY,
                               op->plan->image_format, err);
    failpoint("live:overlay-written-down");
    if (r < 0)
        return r;
    r = staged_image_open_overlay(op->staging, op->plan->image_format, op->driver, &result->image,
                                  err);
    if (r < 0)
        return r;
    result->streamed = true;
    live_snapshot_give_files(op);
    return 0;
}

static int live_make_image(struct live_snapshot *op, struct snapshot_result *result,
                           struct error *err)
{
    if (live_snapshot_is_streamed(op))
        return live_stream_overlay(op, result, err);
    int r = live_snapshot_convert(op, staging_delta_path(op->staging), "qcow2", err);
    return r < 0 ? r : live_snapshot_open(op, &result->image, err);
}

int libvirt_live_snapshot(struct libvirt_driver *driver, const struct guest_info *info,
                          const struct snapshot_plan *plan, struct snapshot_result *ret_result,
                          struct error *err)
{
    __attribute__((cleanup(live_snapshot_done))) struct live_snapshot op =
        live_snapshot_of(driver, info, plan);
    struct snapshot_result result = {.guest_is_back = true};
    struct error failure = ERROR_INIT;
    int r = libvirt_connection_find_domain(driver->connection, info->uuid, 0,
                                           EXC_INSTANCE_NOT_FOUND, &op.domain, err);
    if (r < 0)
        return r;
    (void)live_copy_disk(&op, &result.quiesced, &failure);
    live_undo(&op, &failure);
    if (failure.errnum == 0)
        (void)live_make_image(&op, &result, &failure);
    if (failure.errnum != 0) {
        *err = failure;
        return -failure.errnum;
    }
    *ret_result = result;
    return 0;
}
