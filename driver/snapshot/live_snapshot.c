/* SPDX-License-Identifier: Apache-2.0 */
/* How a live snapshot begins, and how its guest comes back. See live_snapshot.h. */
#include "driver/snapshot/live_snapshot.h"
#include "driver/libvirt/domain.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/image/image_stream.h"
#include "driver/image/qemu_img.h"
#include "driver/journal.h"
#include "driver/libvirt/undefine_check.h"

struct live_snapshot live_snapshot_of(struct libvirt_driver *driver, const struct guest_info *info,
                                      const struct snapshot_plan *plan)
{
    return (struct live_snapshot){
        .driver = driver,
        .info = info,
        .plan = plan,
        .owner = plan->owner,
        .quiesce = {.wanted = plan->quiesce,
                    .required = plan->require_quiesce,
                    .power_state = info->power_state},
        .freeze = {.journal = plan->journal, .timeout_s = driver->freeze_timeout_s},
        .copy = {.uuid = info->uuid,
                 .disk_target = info->disk_target,
                 .stall_timeout_s = driver->stall_timeout_s,
                 .bytes_per_s = driver->disk_bytes_per_s,
                 .transient_job = plan->method == SNAPSHOT_METHOD_BLOCKCOPY},
        .backup = {.disk_target = info->disk_target},
        .may_be_stopped =
            plan->method == SNAPSHOT_METHOD_STREAM && info->power_state == POWER_STATE_RUNNING};
}

static json_t *entry_of(const struct live_snapshot *op)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s?, s:s?, s:b}", "step",
                     "begin", "method", "live", "by", snapshot_method_name(op->plan->method),
                     "uuid", op->info->uuid, "disk_path", op->info->disk_path, "disk_target",
                     op->info->disk_target, "directory", staging_directory(op->staging), "file",
                     staging_file(op->staging), "quiesce", op->quiesce.wanted, "may_be_stopped",
                     op->may_be_stopped, "definition", op->definition.xml, "live",
                     op->definition.live, "autostart", op->definition.autostart);
}

bool live_snapshot_is_streamed(const struct live_snapshot *op)
{
    return image_stream_can_make(op->plan->image_format, op->plan->compress);
}

static int reserve(struct live_snapshot *op, unsigned parts, struct error *err)
{
    uint64_t bytes = 0;
    int r = disk_space_need(op->info, parts, &bytes, err);
    return r < 0 ? r
                 : disk_space_reserve(op->staging, bytes, op->driver->scratch_reserve_bytes,
                                      &op->space, err);
}

int live_snapshot_begin(struct live_snapshot *op, unsigned disk_space_parts, struct error *err)
{
    int r = staging_new(op->driver->snapshots_directory, &op->staging, err);
    if (r < 0)
        return r;
    op->copy.overlay_path = op->backup.scratch_path = staging_delta_path(op->staging);
    op->backup.socket_path = staging_socket_path(op->staging);
    if (!live_snapshot_is_streamed(op))
        disk_space_parts |= DISK_SPACE_IMAGE;
    r = reserve(op, disk_space_parts, err);
    if (r == 0 && op->plan->method == SNAPSHOT_METHOD_BLOCKREBASE)
        r = saved_definition_read(&op->definition, op->domain, err);
    if (r == 0)
        r = undefine_check(&op->definition, op->domain, err);
    if (r == 0 && op->plan->journal)
        r = driver_journal_write(op->plan->journal, entry_of(op), err);
    return r;
}

int live_snapshot_give_delta(const struct live_snapshot *op, struct error *err)
{
    struct qemu_user user;
    struct error refused = ERROR_INIT;
    int r = libvirt_domain_user(op->domain, op->info->disk_path, &user, err);
    if (r == 0 && qemu_user_give(&user, staging_delta_path(op->staging), &refused) < 0)
        log_debug("libvirt has to let QEMU open it: %s", refused.message);
    return r;
}

int live_snapshot_unusable(const struct live_snapshot *op, struct error *err)
{
    if (virDomainIsActive(op->domain) == 1)
        err->errnum = EOPNOTSUPP;
    return -err->errnum;
}

static int thaw_guest(struct live_snapshot *op, struct error *err)
{
    return op->domain ? guest_freeze_end(&op->freeze, op->domain, err) : 0;
}

/* A guest that has ended is neither frozen nor copied any more. */
static int find_domain_again(struct live_snapshot *op, struct error *err)
{
    bool active = false;
    int r = libvirt_domain_find_again(op->driver->connection, op->info->uuid, &op->domain, &active,
                                      err);
    if (r < 0)
        return r;
    op->gone = !op->domain;
    if (!active) {
        guest_freeze_forget(&op->freeze);
        op->copy.running = op->copy.may_come = op->backup.running = false;
    }
    return 0;
}

static int undo_copy(struct live_snapshot *op, struct error *err)
{
    return op->domain ? block_copy_undo(&op->copy, op->domain, err) : 0;
}

static int undo_backup(struct live_snapshot *op, struct error *err)
{
    return op->domain ? backup_job_undo(&op->backup, op->domain, err) : 0;
}

/*
 * A write of the guest fails when what it overwrites cannot be kept (QEMU 7.2: on-cbw-error), and
 * QEMU stops the guest for want of space. Without the job it is repeated when the guest goes on.
 */
static int undo_stop(struct live_snapshot *op, struct error *err)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    if (!op->may_be_stopped || !op->domain)
        return 0;
    if (virDomainGetState(op->domain, &state, &reason, 0) < 0)
        return libvirt_error(err, "cannot read whether the guest was stopped");
    if (state != VIR_DOMAIN_PAUSED || reason != VIR_DOMAIN_PAUSED_IOERROR)
        return 0;
    log_warning("the guest was stopped by an I/O error while its disk was streamed, it goes on");
    return virDomainResume(op->domain) < 0 ? libvirt_error(err, "cannot let the guest go on") : 0;
}

/*
 * A guest that is gone with its disk was deleted, one that is gone but writes to its disk runs on
 * another host. For one that left its disk and rests, only nova knows whether it is to be here: its
 * definition could be a leftover.
 */
static int judge_gone(struct live_snapshot *op, struct error *err)
{
    struct stat st;
    bool has = true;
    op->stays_gone = op->deleting || (stat(op->info->disk_path, &st) < 0 && errno == ENOENT) ||
                     qemu_img_is_written(op->info->disk_path);
    if (op->stays_gone || !op->owner)
        return 0;
    int r = op->owner->has_instance(op->owner->arg, &has, err);
    op->stays_gone = r < 0 || !has;
    if (r == 0 && !has)
        log_info("the domain has gone with its instance and stays so");
    return r;
}

/* A guest that nova-compute has ended since it was found is not to be defined any more. */
static void forget_deleted(struct live_snapshot *op)
{
    struct error ignored = ERROR_INIT;
    if (find_domain_again(op, &ignored) == 0 && !op->gone && virDomainIsActive(op->domain) == 0)
        (void)saved_definition_undefine(&op->definition, op->domain, &ignored);
}

/*
 * Nothing is defined without a look at the guest: libvirtd may only now be back, and whether the
 * guest runs, has been defined since or is gone decides what its definition is.
 */
static int undo_undefine(struct live_snapshot *op, struct error *err)
{
    int r = op->domain || op->gone ? 0 : find_domain_again(op, err);
    if (r == 0 && op->gone && op->definition.xml)
        r = judge_gone(op, err);
    if (r < 0 || op->stays_gone)
        return r;
    r = saved_definition_restore(&op->definition, op->driver->connection, op->domain, err);
    failpoint("live:defined");
    if (op->deleting)
        forget_deleted(op);
    return r;
}

/*
 * A copy whose start was asked for, but never answered, may have begun since it was looked for. Now
 * that the domain is defined, no other can.
 */
static int undo_late_copy(struct live_snapshot *op, struct error *err)
{
    if (!op->copy.may_come || !op->domain)
        return 0;
    op->copy.running = true;
    int r = block_copy_undo(&op->copy, op->domain, err);
    if (r == 0)
        op->copy.may_come = false;
    return r;
}

static int undo_autostart(struct live_snapshot *op, struct error *err)
{
    return op->deleting || op->stays_gone
               ? 0
               : saved_definition_restore_autostart(&op->definition, op->driver->connection,
                                                    op->info->uuid, err);
}

static int undo_agent_limit(struct live_snapshot *op, struct error *err)
{
    return op->domain ? guest_freeze_release_agent(&op->freeze, op->domain, err) : 0;
}

/* The guest may have ended since it was found, in the middle of a step. */
static int try_again(struct live_snapshot *op, int (*step)(struct live_snapshot *, struct error *),
                     struct error *err)
{
    int r = find_domain_again(op, err);
    return r < 0 || step == find_domain_again ? r : step(op, err);
}

void live_snapshot_undo(struct live_snapshot *op, struct error *err)
{
    int (*const steps[])(struct live_snapshot *, struct error *) = {
        find_domain_again, thaw_guest,     undo_copy,      undo_backup,      undo_stop,
        undo_undefine,     undo_late_copy, undo_autostart, undo_agent_limit,
    };
    CANCEL_SHIELD();
    op->deleting = error_is(err, EXC_UNEXPECTED_DELETING);
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        struct error failure = ERROR_INIT, again = ERROR_INIT;
        if (steps[i](op, &failure) == 0 || try_again(op, steps[i], &again) == 0)
            continue;
        error_join(err, &again);
        /* no other method may begin before the guest is back */
        if (err->errnum == EOPNOTSUPP || err->errnum == ENOSPC)
            err->errnum = EIO;
    }
}

void live_snapshot_done(struct live_snapshot *op)
{
    block_copy_done(&op->copy);
    saved_definition_done(&op->definition);
    disk_space_release(op->space);
    staging_free(op->staging);
    if (op->domain)
        (void)virDomainFree(op->domain);
}
