/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The new top layer of a volume, as nova's _volume_snapshot_create: an external disk snapshot onto
 * a file that Cinder has made. libvirt's definition of the disk tells whether it has happened,
 * not what the call returned: libvirtd may be gone by then, and Cinder must not hear of a failure
 * while the guest writes to the new file.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/block/block_job.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/guest_freeze.h"
#include "driver/libvirt/guest_quiesce.h"
#include "driver/libvirt_driver_private.h"
#include "driver/undo.h"
#include "driver/volume/chain.h"
#include "driver/volume/overlay.h"
#include "driver/volume/volume.h"

struct volume_snapshot {
    struct libvirt_driver *driver;
    const char *uuid;
    const struct volume_overlay *overlay;
    virDomainPtr domain; /* owned; NULL when there is none any more */
    char *path;          /* owned: of the new file */
    char *xml;           /* owned: what libvirt is asked for */
    struct guest_quiesce quiesce;
    struct guest_freeze freeze;
    bool already; /* it does since an earlier call */
    bool asked;   /* the guest may write to the new file */
    bool created; /* libvirt said that it does */
};

static int create_read_power_state(struct volume_snapshot *op, struct error *err)
{
    op->quiesce = (struct guest_quiesce){.wanted = op->overlay->quiesce,
                                         .required = op->overlay->require_quiesce};
    return libvirt_domain_power_state(op->domain, &op->quiesce.power_state, err);
}

/* An earlier call may have put the file there and died before it could tell. */
static int create_is_on_top(const struct volume_snapshot *op, const struct volume_disk *disk,
                            bool *ret_on_top, struct error *err)
{
    cleanup_free char *path = NULL;
    int r = volume_chain_join(disk, op->overlay->new_file, &path, err);
    if (r < 0)
        return r;
    *ret_on_top = strcmp(disk->layers[0].path, path) == 0;
    if (*ret_on_top)
        log_debug("the guest writes to %s since an earlier request", path);
    return 0;
}

static int create_check(struct volume_snapshot *op, const struct volume_disk *disk,
                        struct error *err)
{
    int r = create_read_power_state(op, err);
    if (r < 0)
        return r;
    r = guest_quiesce_check(&op->quiesce, err);
    if (r < 0)
        return r;
    r = block_job_check_idle(op->domain, op->uuid, disk->target, err);
    if (r < 0)
        return r;
    r = volume_overlay_check(disk, op->overlay->new_file, &op->path, err);
    return r < 0 ? r : volume_overlay_snapshot_xml(disk, op->path, &op->xml, err);
}

/* All that can be found wrong before anything is changed. */
static int create_prepare(struct volume_snapshot *op, struct error *err)
{
    cleanup_volume_disk struct volume_disk *disk = NULL;
    int r = libvirt_volume_find_domain(op->driver->connection, op->uuid, 0, &op->domain, err);
    if (r < 0)
        return r;
    int active = virDomainIsActive(op->domain);
    if (active < 0)
        return libvirt_error(err, "cannot read whether the domain is active");
    if (active == 0)
        return libvirt_domain_not_running(op->uuid, err);
    r = libvirt_volume_describe(op->domain, op->overlay->volume_id, &disk, err);
    if (r < 0)
        return r;
    r = create_is_on_top(op, disk, &op->already, err);
    return r < 0 || op->already ? r : create_check(op, disk, err);
}

/* libvirt's own QUIESCE flag would wait for the agent without end. */
static int create_take_snapshot(struct volume_snapshot *op, struct error *err)
{
    const unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA |
                           VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY |
                           VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT;
    op->asked = true;
    virDomainSnapshotPtr snapshot = virDomainSnapshotCreateXML(op->domain, op->xml, flags);
    if (!snapshot)
        return libvirt_error(err, "cannot put file %s on the volume", op->overlay->new_file);
    (void)virDomainSnapshotFree(snapshot);
    op->created = true;
    return 0;
}

/* The guest's filesystems stand still for no more than this. */
static int create_freeze_and_take(struct volume_snapshot *op, struct error *err)
{
    struct error failure = ERROR_INIT;
    bool quiesced = false;
    uint64_t since_ms = clock_now_ms();
    CANCEL_SHIELD();
    int r = guest_quiesce_start(&op->quiesce, &op->freeze, op->domain, &quiesced, err);
    failpoint("volume:frozen");
    if (r == 0)
        r = create_take_snapshot(op, err);
    failpoint("volume:layer-made");
    if (guest_quiesce_end(&op->quiesce, &op->freeze, op->domain, &quiesced, &failure) == 0) {
        failpoint("volume:thawed");
        log_debug("new layer of volume %s, %s freeze: %s after %" PRIu64 " ms",
                  op->overlay->volume_id, quiesced ? "within a" : "without a",
                  r < 0 ? "failed" : "done", clock_now_ms() - since_ms);
        return r;
    }
    error_join(err, &failure);
    return -err->errnum;
}

/* A guest that has ended is not frozen any more. */
static int create_find_domain(void *arg, struct error *err)
{
    struct volume_snapshot *op = arg;
    bool active = false;
    return guest_freeze_find_again(&op->freeze, op->uuid, &op->domain, &active, err);
}

static int create_thaw(void *arg, struct error *err)
{
    struct volume_snapshot *op = arg;
    return guest_freeze_end(&op->freeze, op->domain, err);
}

static int create_release_agent(void *arg, struct error *err)
{
    struct volume_snapshot *op = arg;
    return guest_freeze_release_agent(&op->freeze, op->domain, err);
}

static void create_leave_guest(struct volume_snapshot *op, struct error *err)
{
    static const struct undo_step steps[] = {
        {"find the domain", create_find_domain},
        {"thaw the guest", create_thaw},
        {"reset the guest agent's timeout", create_release_agent},
    };
    static const struct undo undo = {.steps = steps, .count = ARRAY_SIZE(steps)};
    (void)undo_run(&undo, op, err);
}

/* Whether the guest writes to the new file. */
static int create_confirm(struct volume_snapshot *op, bool *ret_taken, struct error *err)
{
    cleanup_volume_disk struct volume_disk *disk = NULL;
    if (!op->domain)
        return libvirt_domain_not_running(op->uuid, err);
    int r = libvirt_volume_describe(op->domain, op->overlay->volume_id, &disk, err);
    if (r < 0)
        return r;
    *ret_taken = strcmp(disk->layers[0].path, op->path) == 0;
    log_debug("volume %s: the guest writes to %s", op->overlay->volume_id, disk->layers[0].path);
    return 0;
}

/* 0 when the guest writes to the new file, whatever failed besides. */
static int create_conclude(struct volume_snapshot *op, struct error *failure)
{
    struct error unknown = ERROR_INIT;
    bool taken = false;
    if (op->asked && create_confirm(op, &taken, &unknown) < 0 &&
        create_confirm(op, &taken, &unknown) < 0) {
        taken = op->created; /* nothing contradicts what libvirt said */
        error_join(failure, &unknown);
    }
    if (taken && failure->errnum != 0)
        log_error("volume %s: new layer %s is in use, success reported; a later step failed: %s",
                  op->overlay->volume_id, op->path, failure->message);
    if (taken)
        return 0;
    if (failure->errnum != 0)
        return -failure->errnum;
    return error_set(failure, EIO, EXC_INTERNAL_ERROR,
                     "libvirt reported success, but the guest does not write to %s", op->path);
}

static void volume_snapshot_done(struct volume_snapshot *op)
{
    free(op->path);
    free(op->xml);
    cleanup_free_domain(&op->domain);
}

int libvirt_volume_create(struct libvirt_driver *driver, const char *uuid,
                          const struct volume_overlay *overlay, struct error *err)
{
    __attribute__((cleanup(volume_snapshot_done))) struct volume_snapshot op = {
        .driver = driver,
        .uuid = uuid,
        .overlay = overlay,
        .freeze = {.connection = driver->connection,
                   .journal = overlay->journal,
                   .timeout_s = driver->freeze_timeout_s}};
    struct error failure = ERROR_INIT;
    int r = create_prepare(&op, &failure);
    if (r == 0 && !op.already) {
        (void)create_freeze_and_take(&op, &failure);
        create_leave_guest(&op, &failure);
        r = create_conclude(&op, &failure);
    }
    return r < 0 ? libvirt_volume_fail(uuid, &failure, err) : 0;
}
