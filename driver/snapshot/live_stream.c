/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The streamed snapshot of a guest that runs, which writes nothing: its disk is shown by a backup
 * job as it was at one instant, over NBD, and the image is made while it is uploaded. The domain is
 * never undefined, and the guest stands still for no more than the job's beginning.
 *
 * The job has to stay for as long as the image is read. So it is ended when the image is closed;
 * driver_ops.recover brings back the rest, and the job too if this process has died. Where the size
 * of an image is not known before it is made (compressed, vmdk, vdi) the job is converted from, and
 * ended, as a copy would be.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/block/disk_iothread.h"
#include "driver/image/extent_map.h"
#include "driver/image/qemu_img.h"
#include "driver/journal.h"
#include "driver/libvirt/domain.h"
#include "driver/snapshot/job_image.h"
#include "driver/snapshot/live_snapshot.h"

static int stream_make_files(struct live_snapshot *op, struct error *err)
{
    struct qemu_user user;
    const struct qemu_img_overlay scratch = {.path = staging_delta_path(op->staging),
                                             .size_bytes = op->info->virtual_size_bytes};
    int r = libvirt_domain_user(op->domain, op->info->disk_path, &user, err);
    if (r < 0)
        return r;
    r = staging_make(op->staging, STAGING_TRAVERSABLE, err);
    if (r < 0)
        return r;
    r = staging_make_socket_directory(op->staging, &user, err);
    if (r < 0)
        return r;
    r = qemu_img_create_overlay(&scratch, err);
    return r < 0 ? r : live_snapshot_give_delta(op, err);
}

static int stream_thaw(struct live_snapshot *op, bool *quiesced, struct error *err)
{
    int r = guest_quiesce_end(&op->quiesce, &op->freeze, op->domain, quiesced, err);
    if (r < 0 || !op->quiesce.wanted || !op->plan->journal)
        return r;
    return driver_journal_write(op->plan->journal, json_pack("{s:s}", "step", "thaw"), err);
}

/* The point in time of the image. The guest's filesystems stand still for no more than this. */
static int stream_begin_job(struct live_snapshot *op, bool *ret_quiesced, struct error *err)
{
    CANCEL_SHIELD();
    struct error failure = ERROR_INIT;
    uint64_t since_ms = clock_now_ms();
    int r = guest_quiesce_start(&op->quiesce, &op->freeze, op->domain, ret_quiesced, err);
    failpoint("stream:frozen");
    if (r == 0)
        driver_tell_instant(op->plan->observer);
    if (r == 0 && backup_job_begin(&op->backup, op->domain, err) < 0)
        r = live_snapshot_unusable(op, err);
    failpoint("stream:begun");
    if (stream_thaw(op, ret_quiesced, &failure) == 0) {
        failpoint("stream:thawed");
        log_debug("begin of the backup job, %s freeze: %s after %" PRIu64 " ms",
                  *ret_quiesced ? "within a" : "without a", r < 0 ? "failed" : "done",
                  clock_now_ms() - since_ms);
        return r;
    }
    error_join(err, &failure);
    return -err->errnum;
}

/* Whether this disk can be shown and read at all, before anything is done. */
static int stream_check_disk(struct live_snapshot *op, struct error *err)
{
    uint64_t bytes = op->info->virtual_size_bytes;
    if (live_snapshot_is_streamed(op) && bytes > EXTENT_MAP_MAX_BYTES)
        return error_set(err, EOPNOTSUPP, EXC_INTERNAL_ERROR,
                         "a disk of %" PRIu64 " bytes is too large to be mapped", bytes);
    return disk_iothread_check(op->domain, op->info->disk_target, err);
}

int live_stream_prepare(struct live_snapshot *op, struct error *err)
{
    int r = live_snapshot_check(op, err);
    if (r < 0)
        return r;
    if (backup_job_check_idle(op->domain, err) < 0)
        return live_snapshot_unusable(op, err);
    r = stream_check_disk(op, err);
    return r < 0 ? r : live_snapshot_begin(op, DISK_SPACE_ROOM, err);
}

int libvirt_live_stream_show(struct live_snapshot *op, bool *ret_quiesced, struct error *err)
{
    int r = live_stream_prepare(op, err);
    failpoint("stream:written-down");
    if (r < 0)
        return r;
    r = stream_make_files(op, err);
    if (r < 0)
        return r;
    log_debug("beginning a backup job of disk %s, scratch file in %s", op->info->disk_target,
              staging_directory(op->staging));
    failpoint("stream:files-made");
    return stream_begin_job(op, ret_quiesced, err);
}

static int stream_convert_job(struct live_snapshot *op, struct error *err)
{
    char source[DRIVER_PATH_MAX]; /* block/nbd.c: nbd_parse_filename */
    (void)snprintf(source, sizeof(source), "nbd:unix:%s:exportname=%s", op->backup.socket_path,
                   op->backup.disk_target);
    return live_snapshot_convert(op, source, "raw", err);
}

/* What is shown is read at once, and the guest is back. */
static int stream_make_staged(struct live_snapshot *op, struct snapshot_result *result,
                              struct error *err)
{
    struct error failure = ERROR_INIT;
    (void)stream_convert_job(op, &failure);
    live_undo(op, &failure);
    result->guest_is_back = true;
    if (failure.errnum == 0)
        (void)live_snapshot_open(op, &result->image, &failure);
    if (failure.errnum != 0)
        *err = failure;
    return -failure.errnum;
}

/* The agent's time to answer is given back now, the job stays. */
static int stream_make_streamed(struct live_snapshot *op, struct snapshot_result *result,
                                struct error *err)
{
    int r = guest_freeze_release_agent(&op->freeze, op->domain, err);
    if (r < 0)
        return r;
    result->streamed = true;
    r = job_image_open(op, &result->image, err);
    return r < 0 && r != -ECANCELED ? live_snapshot_unusable(op, err) : r;
}

int libvirt_live_stream(struct libvirt_driver *driver, const struct guest_info *info,
                        const struct snapshot_plan *plan, struct snapshot_result *ret_result,
                        struct error *err)
{
    __attribute__((cleanup(live_snapshot_done))) struct live_snapshot op =
        live_snapshot_of(driver, info, plan);
    struct snapshot_result result = {0};
    struct error failure = ERROR_INIT;
    int r = libvirt_connection_find_domain(driver->connection, info->uuid, 0,
                                           EXC_INSTANCE_NOT_FOUND, &op.domain, err);
    if (r < 0)
        return r;
    if (libvirt_live_stream_show(&op, &result.quiesced, &failure) == 0)
        (void)(live_snapshot_is_streamed(&op) ? stream_make_streamed
                                              : stream_make_staged)(&op, &result, &failure);
    if (failure.errnum != 0) {
        log_debug("streaming disk %s failed: %s", info->disk_target, failure.message);
        live_undo(&op, &failure);
        *err = failure;
        return -failure.errnum;
    }
    *ret_result = result;
    return 0;
}
