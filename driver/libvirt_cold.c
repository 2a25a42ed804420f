/*
 * The cold snapshot: a running or paused guest is saved to disk with its memory (managed save), the
 * disk is converted, the guest goes on from where it was. A stopped guest's disk is just converted;
 * the managed-save image of a guest that nova suspended is not touched.
 *
 * resume_guest() runs on every exit and puts back what it finds missing.
 */
#include <errno.h>
#include <libvirt/virterror.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "driver/host_devices.h"
#include "driver/libvirt_driver.h"
#include "driver/managed_save.h"
#include "driver/qemu_img.h"
#include "driver/rbd_name.h"
#include "driver/staging.h"

struct cold_snapshot {
    struct libvirt_driver *driver;
    const struct guest_info *info;
    const struct snapshot_plan *plan;
    char source_path[DRIVER_PATH_MAX];
    virDomainPtr domain;          /* owned; NULL when there is none any more */
    enum power_state power_state; /* as it was found and has to come back */
    struct staging *staging;
    struct domain_watch *watch;
    /* progress: what resume_guest() has to put back */
    bool suspending;
    struct host_devices devices;
    uint64_t paused_since_ms; /* 0 = never */
};

static int suspend_guest(struct cold_snapshot *op, struct error *err)
{
    int r = libvirt_domain_power_state(op->domain, &op->power_state, err);
    if (r < 0)
        return r;
    if (op->power_state != POWER_STATE_RUNNING && op->power_state != POWER_STATE_PAUSED)
        return 0;
    r = libvirt_connection_watch(op->driver->connection, op->info->uuid, op->info->disk_target,
                                 &op->watch, err);
    if (r < 0)
        return r;
    op->suspending = true;
    r = host_devices_detach(&op->devices, op->domain, op->watch, op->driver->detach_timeout_ms,
                            err);
    if (r < 0)
        return r;
    op->paused_since_ms = clock_now_ms();
    return managed_save(op->domain, op->driver->stall_timeout_s, err);
}

static int convert_disk(struct cold_snapshot *op, struct error *err)
{
    bool is_file = op->info->source_type == DISK_SOURCE_FILE;
    const struct qemu_img_conversion conversion = {.source_path = op->source_path,
                                                   .source_format =
                                                       is_file ? op->info->disk_format : "raw",
                                                   .target_path = staging_image_path(op->staging),
                                                   .target_format = op->plan->image_format,
                                                   .compress = op->plan->compress,
                                                   .stall_timeout_s = op->driver->stall_timeout_s};
    return qemu_img_convert(&conversion, err);
}

/* libvirtd may have been restarted since; a domain that is gone needs no help. */
static int find_domain_again(struct cold_snapshot *op, struct error *err)
{
    if (op->domain && virConnectIsAlive(virDomainGetConnect(op->domain)) == 1)
        return 0;
    if (op->domain)
        (void)virDomainFree(op->domain);
    op->domain = NULL;
    return libvirt_connection_find_domain(op->driver->connection, op->info->uuid,
                                          LIBVIRT_PATIENCE_MS, EXC_INSTANCE_NOT_FOUND, &op->domain,
                                          err);
}

/* Only a saved guest is started: one that has powered itself off meanwhile stays off. */
static int start_guest(struct cold_snapshot *op, struct error *err)
{
    int active = virDomainIsActive(op->domain);
    int saved = active == 0 ? virDomainHasManagedSaveImage(op->domain, 0) : 0;
    if (active < 0 || saved < 0)
        return libvirt_error(err, "cannot read whether the guest is saved");
    if (saved == 0)
        return 0;
    if (virDomainCreateWithFlags(op->domain, 0) < 0)
        return libvirt_error(err, "cannot start instance %s from its saved memory", op->info->uuid);
    return 0;
}

/* A restored guest is as it was saved; a save that failed may have left it paused. */
static int settle_power_state(struct cold_snapshot *op, struct error *err)
{
    enum power_state now;
    int r = libvirt_domain_power_state(op->domain, &now, err);
    if (r < 0 || now == op->power_state)
        return r;
    if (now == POWER_STATE_PAUSED && virDomainResume(op->domain) < 0)
        return libvirt_error(err, "cannot let the guest run again");
    if (now == POWER_STATE_RUNNING && virDomainSuspend(op->domain) < 0)
        return libvirt_error(err, "cannot pause the guest again");
    return 0;
}

static int attach_devices(struct cold_snapshot *op, struct error *err)
{
    return host_devices_attach(&op->devices, op->domain, err);
}

/* Every step runs while there is a domain, if need be twice; *err keeps the first error. */
static void resume_guest(struct cold_snapshot *op, struct error *err)
{
    CANCEL_SHIELD();
    int (*const steps[])(struct cold_snapshot *, struct error *) = {
        find_domain_again,
        start_guest,
        settle_power_state,
        attach_devices,
    };
    int r = op->suspending ? 0 : -ENOENT;
    for (size_t i = 0; i < ARRAY_SIZE(steps) && r != -ENOENT; i++) {
        struct error failure = ERROR_INIT;
        r = steps[i](op, &failure);
        if (r < 0 && r != -ENOENT)
            r = steps[i](op, &failure);
        if (r < 0)
            error_join(err, &failure);
        if (!op->domain)
            return;
    }
}

/* What qemu-img is to read, before the guest is touched. */
static int find_source(struct cold_snapshot *op, struct error *err)
{
    const struct guest_info *info = op->info;
    if (info->source_type == DISK_SOURCE_PLOOP)
        return error_set(err, ENOTSUP, EXC_INTERNAL_ERROR,
                         "root disk %s is neither a file, a block device nor an RBD image",
                         info->disk_path);
    if (info->source_type == DISK_SOURCE_RBD)
        return rbd_name_for_qemu(info->disk_path, &op->driver->rbd, op->source_path,
                                 sizeof(op->source_path), err);
    memcpy(op->source_path, info->disk_path, sizeof(op->source_path));
    return 0;
}

/* All that needs the guest stopped. */
static int copy_disk(struct cold_snapshot *op, struct error *err)
{
    int r = libvirt_connection_find_domain(op->driver->connection, op->info->uuid, 0,
                                           EXC_INSTANCE_NOT_FOUND, &op->domain, err);
    if (r == 0)
        r = staging_new(op->driver->snapshots_directory, STAGING_PRIVATE, &op->staging, err);
    if (r == 0)
        r = suspend_guest(op, err);
    return r < 0 ? r : convert_disk(op, err);
}

static void cold_snapshot_done(struct cold_snapshot *op)
{
    host_devices_done(&op->devices);
    domain_watch_free(op->watch);
    staging_free(op->staging);
    if (op->domain)
        (void)virDomainFree(op->domain);
}

int libvirt_cold_snapshot(struct libvirt_driver *driver, const struct guest_info *info,
                          const struct snapshot_plan *plan, struct snapshot_result *ret_result,
                          struct error *err)
{
    __attribute__((cleanup(cold_snapshot_done))) struct cold_snapshot op = {
        .driver = driver, .info = info, .plan = plan};
    struct snapshot_result result = {0};
    struct error failure = ERROR_INIT;
    int r = find_source(&op, err);
    if (r < 0)
        return r;
    (void)copy_disk(&op, &failure);
    resume_guest(&op, &failure);
    if (failure.errnum == 0 && staging_open_image(op.staging, &result.image, &failure) == 0)
        op.staging = NULL;
    if (failure.errnum != 0) {
        *err = failure;
        return -failure.errnum;
    }
    if (op.paused_since_ms > 0)
        result.guest_paused_ms = (uint32_t)(clock_now_ms() - op.paused_since_ms);
    *ret_result = result;
    return 0;
}
