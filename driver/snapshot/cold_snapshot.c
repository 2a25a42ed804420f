/* SPDX-License-Identifier: Apache-2.0 */
/* Lets a cold snapshot's guest go on. See cold_snapshot.h. */
#include "driver/snapshot/cold_snapshot.h"

#include <errno.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/journal.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/managed_save.h"
#include "driver/snapshot/recover.h"
#include "driver/undo.h"

json_t *cold_snapshot_entry(const struct cold_snapshot *op)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o}", "step", "begin", "method", "cold",
                     "uuid", op->info->uuid, "disk_target", op->info->disk_target, "directory",
                     staging_directory(op->staging), "file", staging_file(op->staging),
                     "suspending", op->suspending, "devices", host_devices_to_json(&op->devices));
}

/* libvirtd may have been restarted since; a domain that is gone needs no help. */
static int cold_find_domain(void *arg, struct error *err)
{
    struct cold_snapshot *op = arg;
    if (op->domain && !libvirt_connection_is_lost(op->driver->connection, op->domain))
        return 0;
    cleanup_free_domain(&op->domain);
    op->domain = NULL;
    return libvirt_connection_find_domain(op->driver->connection, op->info->uuid,
                                          LIBVIRT_PATIENCE_MS, EXC_INSTANCE_NOT_FOUND, &op->domain,
                                          err);
}

/*
 * libvirtd goes on to save the guest of a client that has died. What became of it is seen
 * afterwards: a guest that is saved, or one that is not.
 */
static int cold_await_save(void *arg, struct error *err)
{
    struct cold_snapshot *op = arg;
    return managed_save_await(op->domain, op->driver->stall_timeout_s, err);
}

/* Of a host that went down: a guest that runs on another one must not get its disk twice. */
static int cold_ask_owner(struct cold_snapshot *op, struct error *err)
{
    bool has = true;
    if (!op->owner)
        return 0;
    int r = op->host_rebooted ? op->owner->has_instance(op->owner->arg, &has, err) : 0;
    if (r < 0)
        return r;
    op->left_off = !has || !op->owner->guest_is_to_run(op->owner->arg);
    return 0;
}

/*
 * Only a saved guest is started: one that has powered itself off meanwhile stays off. So does one
 * that was stopped by its user, who found it off; the memory goes when nova starts it anew.
 */
static int cold_start_guest(void *arg, struct error *err)
{
    struct cold_snapshot *op = arg;
    int active = virDomainIsActive(op->domain);
    int saved = active == 0 ? virDomainHasManagedSaveImage(op->domain, 0) : 0;
    if (active < 0 || saved < 0)
        return libvirt_error(err, "cannot read whether the guest is saved");
    if (saved == 0)
        return 0;
    int r = cold_ask_owner(op, err);
    if (r < 0)
        return r;
    if (op->left_off) {
        log_info("the guest is not started from its saved memory: it was stopped meanwhile, or is "
                 "no longer on this host");
        return 0;
    }
    if (virDomainCreateWithFlags(op->domain, 0) < 0)
        return libvirt_error(err, "cannot start instance %s from its saved memory", op->info->uuid);
    op->started = true;
    log_debug("the guest is started from its saved memory");
    failpoint("cold:started");
    return 0;
}

/* Whether the state the guest is in is the user's wish of a later time. */
static bool cold_is_settled_by_others(const struct cold_snapshot *op)
{
    int state = 0, reason = 0;
    if (op->started)
        return false;
    if (virDomainGetState(op->domain, &state, &reason, 0) < 0 || state != VIR_DOMAIN_PAUSED)
        return true;
    bool is_libvirts = reason == VIR_DOMAIN_PAUSED_SAVE || reason == LIBVIRT_PAUSED_API_ERROR;
    return op->recovering ? !is_libvirts : reason == VIR_DOMAIN_PAUSED_USER;
}

/* A restored guest runs as before; a save that failed may have left it paused. */
static int cold_let_run(void *arg, struct error *err)
{
    struct cold_snapshot *op = arg;
    enum power_state now;
    int r = libvirt_domain_power_state(op->domain, &now, err);
    if (r < 0 || now != POWER_STATE_PAUSED || cold_is_settled_by_others(op))
        return r;
    if (virDomainResume(op->domain) < 0)
        return libvirt_error(err, "cannot let the guest run again");
    log_debug("the guest is resumed, which a managed save had left paused");
    return 0;
}

/* Its definition has kept them for the next start. */
static int cold_attach_devices(void *arg, struct error *err)
{
    struct cold_snapshot *op = arg;
    if (op->left_off)
        return 0;
    int r = host_devices_attach(&op->devices, op->domain, err);
    failpoint("cold:devices-attached");
    return r;
}

static bool cold_guest_is_gone(const void *op, int r)
{
    return r == -ENOENT || !((const struct cold_snapshot *)op)->domain;
}

void cold_snapshot_resume(struct cold_snapshot *op, struct error *err)
{
    static const struct undo_step steps[] = {
        {"find the domain", cold_find_domain},
        {"wait for the managed save", cold_await_save},
        {"start the guest from its saved memory", cold_start_guest},
        {"resume the guest", cold_let_run},
        {"attach host devices", cold_attach_devices},
    };
    static const struct undo undo = {.steps = steps,
                                     .count = ARRAY_SIZE(steps),
                                     .is_over = cold_guest_is_gone,
                                     .final_errnum = ENOENT};
    if (op->suspending)
        (void)undo_run(&undo, op, err);
}

void cold_snapshot_done(struct cold_snapshot *op)
{
    host_devices_done(&op->devices);
    domain_watch_free(op->watch);
    guest_rest_done(&op->rest);
    disk_space_release(op->space);
    staging_free(op->staging);
    cleanup_free_domain(&op->domain);
}

int libvirt_cold_recover(struct recovery *recovery, struct error *err)
{
    const json_t *entry = recovery->entries.begin;
    __attribute__((cleanup(cold_snapshot_done))) struct cold_snapshot op = {
        .driver = recovery->driver,
        .info = recovery->info,
        .owner = recovery->wanted->owner,
        .recovering = true,
        .host_rebooted = recovery->wanted->host_rebooted};
    const json_t *suspending = json_object_get(entry, "suspending");
    struct error failure = ERROR_INIT;
    if (!json_is_boolean(suspending))
        return driver_entry_bad(err, "does not say how the guest was");
    op.suspending = json_is_true(suspending);
    int r = host_devices_from_json(&op.devices, json_object_get(entry, "devices"), err);
    cold_snapshot_resume(&op, &failure);
    if (failure.errnum == 0 || failure.errnum == ENOENT)
        return r;                 /* a guest that is gone needs nothing */
    if (failure.errnum == EINVAL) /* what libvirt says, not the entry */
        failure.errnum = EIO;
    *err = failure;
    return -failure.errnum;
}
