/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cold snapshot: a running guest is saved to disk with its memory (managed save), the disk is
 * converted, the guest goes on from where it was. The disk of a guest that does not run is just
 * converted: QEMU has written out all it had when it paused (vm_stop), and saving such a guest
 * twice aborts QEMU 7.2 (bdrv_inactivate_recurse: images of a paused guest that was restored are
 * inactive already) and loses its memory. The managed-save image of a guest that nova suspended is
 * not touched.
 *
 * A guest that has suspended itself to memory is not saved either: QEMU 7.2 forgets about it, and
 * the guest would go on where it cannot. QEMU has not written out what the guest has not flushed,
 * as guests do before they suspend: its disk is read as a host that lost its power would leave it.
 *
 * The disk is read without a lock, which would keep QEMU from starting the guest: that it was not
 * started is looked at afterwards (guest_rest.h).
 *
 * cold_snapshot_resume() runs on every exit and puts back what it finds missing; for a process that
 * has died the journal tells it what to look for.
 */
#include <errno.h>
#include <inttypes.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/image/qemu_img.h"
#include "driver/journal.h"
#include "driver/libvirt/managed_save.h"
#include "driver/snapshot/cold_snapshot.h"
#include "driver/snapshot/staged_image.h"

static struct guest_run cold_run_of(const struct guest_info *info)
{
    return (struct guest_run){info->power_state, info->domain_id};
}

/* What has to come back; of a guest whose memory is not saved here, nothing. */
static int cold_read_guest(struct cold_snapshot *op, struct error *err)
{
    const struct guest_run run = cold_run_of(op->info);
    int r = guest_rest_check_run(op->driver->connection, op->info->uuid, &run, err);
    if (r < 0)
        return r;
    op->suspending = run.power_state == POWER_STATE_RUNNING;
    log_debug("cold snapshot of disk %s: the guest %s", op->info->disk_target,
              op->suspending ? "runs and is saved to disk meanwhile" : "does not run");
    if (!op->suspending)
        return 0;
    r = libvirt_connection_watch(op->driver->connection, op->info->uuid, op->info->disk_target, 0,
                                 &op->watch, err);
    return r < 0 ? r : host_devices_read(&op->devices, op->domain, err);
}

int cold_snapshot_prepare(struct cold_snapshot *op, struct error *err)
{
    int r = libvirt_connection_find_domain(op->driver->connection, op->info->uuid, 0,
                                           EXC_INSTANCE_NOT_FOUND, &op->domain, err);
    if (r < 0)
        return r;
    r = cold_read_guest(op, err);
    if (r < 0)
        return r;
    r = staging_new(op->driver->snapshots_directory, op->driver->staging_mark, &op->staging, err);
    if (r < 0)
        return r;
    r = disk_space_need(op->info, DISK_SPACE_IMAGE, &op->needed_bytes, err);
    return r < 0 ? r
                 : staged_image_reserve(op->staging, op->needed_bytes, op->driver,
                                        op->looks_only ? NULL : &op->space, err);
}

/* Writes down what is about to be done, before anything is. */
static int cold_begin(struct cold_snapshot *op, struct error *err)
{
    int r = cold_snapshot_prepare(op, err);
    if (r == 0 && op->plan->journal)
        r = driver_journal_write(op->plan->journal, cold_snapshot_entry(op), err);
    if (r < 0)
        return r;
    failpoint("cold:written-down");
    return staging_make(op->staging, STAGING_PRIVATE, err);
}

static int cold_suspend_guest(struct cold_snapshot *op, struct error *err)
{
    int r = host_devices_detach(&op->devices, op->domain, op->watch, op->driver->detach_timeout_ms,
                                err);
    if (r < 0)
        return r;
    failpoint("cold:devices-detached");
    op->paused_since_ms = clock_now_ms();
    r = managed_save(op->domain, op->driver->stall_timeout_s, err);
    failpoint("cold:saved");
    return r;
}

static int cold_convert_disk(struct cold_snapshot *op, struct error *err)
{
    struct qemu_img_conversion conversion =
        staged_image_conversion(op->staging, op->plan, op->driver);
    conversion.source_path = op->source.path;
    conversion.source_format = op->source.format;
    conversion.force_share = true;
    if (op->suspending)
        conversion.bytes_per_s = 0; /* a guest is down for no longer than it takes */
    return qemu_img_convert(&conversion, err);
}

/* A guest that runs meanwhile may change the disk, or make it unreadable, under the hands. */
static int cold_read_disk(struct cold_snapshot *op, struct error *err)
{
    static const struct guest_run saved = {POWER_STATE_SHUTDOWN, -1};
    const struct guest_run found = cold_run_of(op->info);
    struct error failure = ERROR_INIT, changed = ERROR_INIT;
    int r = guest_rest_begin(&op->rest, op->driver->connection, op->info->uuid,
                             op->suspending ? &saved : &found, err);
    if (r < 0)
        return r;
    failpoint("cold:reading");
    driver_tell_instant(op->plan->observer);
    log_debug("converting %s (%s) to %s", op->info->disk_path, op->source.format,
              op->plan->image_format);
    r = cold_convert_disk(op, &failure);
    if (r == -ECANCELED) {
        *err = failure;
        return r;
    }
    if (guest_rest_check(&op->rest, &changed) < 0)
        failure = changed;
    if (failure.errnum != 0)
        *err = failure;
    return -failure.errnum;
}

/* All that needs the guest stopped. */
static int cold_copy_disk(struct cold_snapshot *op, struct error *err)
{
    int r = cold_begin(op, err);
    if (r < 0)
        return r;
    failpoint("cold:staging-made");
    if (op->suspending)
        r = cold_suspend_guest(op, err);
    if (r == 0)
        r = cold_read_disk(op, err);
    if (r < 0)
        return r;
    failpoint("cold:converted");
    r = staged_image_write(op->plan->journal, op->staging, STAGED_FILE, op->plan->image_format,
                           err);
    failpoint("cold:image-written-down");
    return r;
}

int libvirt_cold_snapshot(struct libvirt_driver *driver, const struct guest_info *info,
                          const struct snapshot_plan *plan, struct snapshot_result *ret_result,
                          struct error *err)
{
    __attribute__((cleanup(cold_snapshot_done))) struct cold_snapshot op = {
        .driver = driver, .info = info, .plan = plan, .owner = plan->owner};
    struct snapshot_result result = {.guest_is_back = true};
    struct error failure = ERROR_INIT;
    int r = disk_source_find(info, &driver->rbd, &op.source, err);
    if (r < 0)
        return r;
    (void)cold_copy_disk(&op, &failure);
    cold_snapshot_resume(&op, &failure);
    disk_space_release(TAKE_PTR(op.space)); /* all is written; the staging goes with the image */
    if (failure.errnum == 0 && staging_open_image(op.staging, &result.image, &failure) == 0)
        op.staging = NULL;
    if (failure.errnum != 0) {
        *err = failure;
        return -failure.errnum;
    }
    if (op.paused_since_ms > 0) {
        result.guest_paused_ms = (uint32_t)(clock_now_ms() - op.paused_since_ms);
        log_debug("the guest was saved to disk for %" PRIu32 " ms", result.guest_paused_ms);
    }
    *ret_result = result;
    return 0;
}
