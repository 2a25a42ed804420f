/* SPDX-License-Identifier: Apache-2.0 */
/* How the guest of a live snapshot comes back. See live_snapshot.h. */
#include <errno.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/image/qemu_img.h"
#include "driver/snapshot/live_snapshot.h"
#include "driver/undo.h"

/* A guest that has ended is neither frozen nor copied any more. */
static int live_find_domain(void *arg, struct error *err)
{
    struct live_snapshot *op = arg;
    bool active = false;
    int r = guest_freeze_find_again(&op->freeze, op->info->uuid, &op->domain, &active, err);
    if (r < 0)
        return r;
    op->gone = !op->domain;
    if (!active)
        op->copy.running = op->copy.may_come = op->backup.running = false;
    log_debug("undo: the domain is %s", active ? "active" : op->gone ? "gone" : "not active");
    return 0;
}

static int live_thaw(void *arg, struct error *err)
{
    struct live_snapshot *op = arg;
    return guest_freeze_end(&op->freeze, op->domain, err);
}

static int live_end_copy(void *arg, struct error *err)
{
    struct live_snapshot *op = arg;
    return op->domain ? block_copy_undo(&op->copy, op->domain, err) : 0;
}

static int live_end_backup(void *arg, struct error *err)
{
    struct live_snapshot *op = arg;
    return op->domain ? backup_job_undo(&op->backup, op->domain, err) : 0;
}

/*
 * A write of the guest fails when what it overwrites cannot be kept (QEMU 7.2: on-cbw-error), and
 * QEMU stops the guest for want of space. Without the job it is repeated when the guest goes on.
 */
static int live_resume_stopped(void *arg, struct error *err)
{
    struct live_snapshot *op = arg;
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    if (!op->may_be_stopped || !op->domain)
        return 0;
    if (virDomainGetState(op->domain, &state, &reason, 0) < 0)
        return libvirt_error(err, "cannot read whether the guest was stopped");
    if (state != VIR_DOMAIN_PAUSED || reason != VIR_DOMAIN_PAUSED_IOERROR)
        return 0;
    log_warning("the guest was paused by an I/O error while its disk was streamed, resuming it");
    return virDomainResume(op->domain) < 0 ? libvirt_error(err, "cannot let the guest go on") : 0;
}

/*
 * A guest that is gone with its disk was deleted, one that is gone but writes to its disk runs on
 * another host. For one that left its disk and rests, only nova knows whether it is to be here: its
 * definition could be a leftover.
 */
static int live_judge_gone(struct live_snapshot *op, struct error *err)
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
        log_info(
            "the domain is gone and the instance is no longer on this host: not defined again");
    return r;
}

/* A guest that nova-compute has ended since it was found is not to be defined any more. */
static void live_forget_deleted(struct live_snapshot *op)
{
    struct error ignored = ERROR_INIT;
    if (live_find_domain(op, &ignored) == 0 && !op->gone && virDomainIsActive(op->domain) == 0)
        (void)saved_definition_undefine(&op->definition, op->domain, &ignored);
}

/*
 * Nothing is defined without a look at the guest: libvirtd may only now be back, and whether the
 * guest runs, has been defined since or is gone decides what its definition is.
 */
static int live_define(void *arg, struct error *err)
{
    struct live_snapshot *op = arg;
    int r = op->domain || op->gone ? 0 : live_find_domain(op, err);
    if (r == 0 && op->gone && op->definition.xml)
        r = live_judge_gone(op, err);
    if (r < 0 || op->stays_gone)
        return r;
    r = saved_definition_restore(&op->definition, op->driver->connection, op->domain, err);
    failpoint("live:defined");
    if (op->deleting)
        live_forget_deleted(op);
    return r;
}

/*
 * A copy whose start was asked for, but never answered, may have begun since it was looked for. Now
 * that the domain is defined, no other can.
 */
static int live_end_late_copy(void *arg, struct error *err)
{
    struct live_snapshot *op = arg;
    if (!op->copy.may_come || !op->domain)
        return 0;
    op->copy.running = true;
    int r = block_copy_undo(&op->copy, op->domain, err);
    if (r == 0)
        op->copy.may_come = false;
    return r;
}

static int live_set_autostart(void *arg, struct error *err)
{
    struct live_snapshot *op = arg;
    return op->deleting || op->stays_gone
               ? 0
               : saved_definition_restore_autostart(&op->definition, op->driver->connection,
                                                    op->info->uuid, err);
}

static int live_release_agent(void *arg, struct error *err)
{
    struct live_snapshot *op = arg;
    return guest_freeze_release_agent(&op->freeze, op->domain, err);
}

void live_undo(struct live_snapshot *op, struct error *err)
{
    static const struct undo_step steps[] = {
        {"find the domain", live_find_domain},
        {"thaw the guest", live_thaw},
        {"end the copy", live_end_copy},
        {"end the backup job", live_end_backup},
        {"resume a guest paused by an I/O error", live_resume_stopped},
        {"define the domain", live_define},
        {"end a copy that began late", live_end_late_copy},
        {"set autostart", live_set_autostart},
        {"reset the guest agent's timeout", live_release_agent},
    };
    /* The guest may have ended since it was found, in the middle of a step. */
    const struct undo undo = {
        .steps = steps, .count = ARRAY_SIZE(steps), .refresh = live_find_domain};
    op->deleting = error_is(err, EXC_UNEXPECTED_DELETING);
    int r = undo_run(&undo, op, err);
    /* no other method may begin before the guest is back */
    if (r < 0 && (err->errnum == EOPNOTSUPP || err->errnum == ENOSPC))
        err->errnum = EIO;
}
