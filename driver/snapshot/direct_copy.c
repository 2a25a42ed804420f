/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a direct snapshot back. See direct_copy.h. */
#include "driver/snapshot/direct_copy.h"

#include <errno.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "driver/journal.h"
#include "driver/snapshot/recover.h"
#include "driver/undo.h"

#define DEAD_CLIENT_S 45

json_t *direct_copy_entry(const struct direct_copy *op)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "step", "begin", "method",
                     "direct", "uuid", op->info->uuid, "disk_path", op->info->disk_path, "snap",
                     op->snap, "fsid", op->client.fsid, "pool", op->target.pool, "image",
                     op->target.image, "quiesce", op->direct->quiesce);
}

static int direct_thaw(struct direct_copy *op, struct error *err)
{
    int r = guest_freeze_end(&op->freeze, op->domain, err);
    return r < 0 ? r : guest_freeze_release_agent(&op->freeze, op->domain, err);
}

int direct_copy_settle_guest(struct direct_copy *op, struct error *err)
{
    struct error failure = ERROR_INIT;
    CANCEL_SHIELD();
    if (!op->freeze.thaw_needed && !op->freeze.limited)
        return 0;
    if (op->domain && direct_thaw(op, &failure) == 0)
        return 0;
    bool active = false; /* a guest that has ended is no longer frozen */
    int r = guest_freeze_find_again(&op->freeze, op->info->uuid, &op->domain, &active, err);
    return r < 0 ? r : direct_thaw(op, err);
}

int direct_copy_lift_limit(struct direct_copy *op, struct error *err)
{
    return op->client.cluster ? rados_client_limit(&op->client, op->driver->rbd.op_timeout_s, err)
                              : 0;
}

int direct_copy_remove_disk_snap(struct direct_copy *op, struct error *err)
{
    if (!op->snapped)
        return 0;
    int r = rbd_volume_remove_snap(&op->disk, op->snap, err);
    if (r == 0)
        op->snapped = false;
    return r;
}

static int direct_step_settle_guest(void *op, struct error *err)
{
    return direct_copy_settle_guest(op, err);
}

static int direct_step_lift_limit(void *op, struct error *err)
{
    return direct_copy_lift_limit(op, err);
}

static int direct_step_remove_disk_snap(void *op, struct error *err)
{
    return direct_copy_remove_disk_snap(op, err);
}

static int direct_step_remove_copy(void *arg, struct error *err)
{
    struct direct_copy *op = arg;
    rbd_volume_close(&op->copy);
    return op->cloned ? rbd_destroy_volume(&op->client, &op->target, GLANCE_SNAP, err) : 0;
}

void direct_copy_undo(struct direct_copy *op, struct error *err)
{
    static const struct undo_step steps[] = {
        {"thaw the guest", direct_step_settle_guest},
        {"lift the limit of the cluster's operations", direct_step_lift_limit},
        {"remove the copy", direct_step_remove_copy},
        {"remove the disk's snapshot", direct_step_remove_disk_snap},
    };
    static const struct undo undo = {
        .steps = steps, .count = ARRAY_SIZE(steps), .final_errnum = EBUSY};
    (void)undo_run(&undo, op, err);
}

void direct_copy_done(struct direct_copy *op)
{
    rbd_volume_close(&op->copy);
    rbd_volume_close(&op->disk);
    rados_client_close(&op->client);
    cleanup_free_domain(&op->domain);
}

/* Only what a direct snapshot can have made is removed. */
static int direct_check_location(const struct rados_client *client,
                                 const struct rbd_location *location, struct error *err)
{
    if (strcmp(location->fsid, client->fsid) != 0)
        return error_set(err, EINVAL, EXC_IMAGE_UNACCEPTABLE,
                         "Ceph cluster %s is not the one of this host, %s", location->fsid,
                         client->fsid);
    if (!id_is_uuid(location->image) || strcmp(location->snap, GLANCE_SNAP) != 0)
        return error_set(err, EINVAL, EXC_IMAGE_UNACCEPTABLE,
                         "%s/%s@%s is no image of a direct snapshot", location->pool,
                         location->image, location->snap);
    return 0;
}

int direct_copy_write_undone(const struct driver_journal *journal, struct error *err)
{
    return journal ? driver_journal_write(journal, json_pack("{s:s}", "step", "undone"), err) : 0;
}

int libvirt_direct_undo(struct libvirt_driver *driver, const char *location,
                        const struct driver_journal *journal, struct error *err)
{
    __attribute__((cleanup(rados_client_close))) struct rados_client client = {0};
    struct rbd_location parsed;
    struct rbd_name name;
    int r = rbd_location_parse(location, &parsed, err);
    if (r < 0)
        return r;
    r = rados_client_open(&client, &driver->rbd, err);
    if (r < 0)
        return r;
    r = direct_check_location(&client, &parsed, err);
    if (r < 0)
        return r;
    log_debug("removing RBD image %s/%s of a direct snapshot", parsed.pool, parsed.image);
    memcpy(name.pool, parsed.pool, sizeof(name.pool));
    memcpy(name.image, parsed.image, sizeof(name.image));
    r = rbd_destroy_volume(&client, &name, GLANCE_SNAP, err);
    return r < 0 ? r : direct_copy_write_undone(journal, err);
}

/* What the entry says was about to be made. Names are taken only as direct_begin() chooses them. */
static int direct_read_entry(struct direct_copy *op, struct guest_info *info, const json_t *entry,
                             char ret_fsid[static RBD_NAME_MAX], struct rbd_name *ret_disk,
                             struct error *err)
{
    const struct driver_entry_member members[] = {
        {"disk_path", info->disk_path, sizeof(info->disk_path)},
        {"snap", op->snap, sizeof(op->snap)},
        {"fsid", ret_fsid, RBD_NAME_MAX},
        {"pool", op->target.pool, sizeof(op->target.pool)},
        {"image", op->target.image, sizeof(op->target.image)},
    };
    int r = driver_entry_copy(entry, members, ARRAY_SIZE(members), err);
    if (r < 0)
        return r;
    r = rbd_name_parse(info->disk_path, ret_disk, err);
    if (r < 0)
        return r;
    if (!rbd_name_is_plain(op->target.pool) || !id_is_uuid(op->target.image) ||
        strspn(op->snap, "0123456789abcdef") != ID_HEX_SIZE - 1)
        return driver_entry_bad(err, "names what no direct snapshot makes");
    return 0;
}

/*
 * What a client had open when it was killed is in use until its watch runs out: after 30 s, Ceph's
 * osd_client_watch_timeout. That is waited for whatever nova's options say.
 */
static struct rbd_options direct_patient_options(const struct rbd_options *options)
{
    struct rbd_options patient = *options;
    if (patient.destroy_retry_interval_s == 0)
        patient.destroy_retry_interval_s = 1;
    unsigned retries = DEAD_CLIENT_S / patient.destroy_retry_interval_s + 1;
    if (patient.destroy_retries < retries)
        patient.destroy_retries = retries;
    return patient;
}

/* A disk that is gone has no snapshot of ours: RBD removes none that has. */
static int direct_open_again(struct direct_copy *op, const struct rbd_options *options,
                             const char *fsid, const struct rbd_name *disk, struct error *err)
{
    struct error failure = ERROR_INIT;
    int r = rados_client_open(&op->client, options, err);
    if (r < 0)
        return r;
    if (strcmp(fsid, op->client.fsid) != 0)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "Ceph cluster %s is not the one of this host, %s", fsid, op->client.fsid);
    r = rbd_volume_open(&op->disk, &op->client, disk, &failure);
    op->snapped = r == 0;
    if (r == 0 || r == -ENOENT)
        return 0;
    *err = failure;
    return r;
}

int libvirt_direct_recover(struct recovery *recovery, struct error *err)
{
    struct libvirt_driver *driver = recovery->driver;
    const struct driver_entries *entries = &recovery->entries;
    const struct rbd_options options = direct_patient_options(&driver->rbd);
    bool rebooted = recovery->wanted->host_rebooted;
    bool quiesce = json_is_true(json_object_get(entries->begin, "quiesce"));
    __attribute__((cleanup(direct_copy_done))) struct direct_copy op = {
        .driver = driver,
        .info = recovery->info,
        .freeze = {.connection = driver->connection,
                   .timeout_s = driver->freeze_timeout_s,
                   .limited = quiesce && !rebooted,
                   .thaw_needed = entries->frozen && !rebooted}};
    char fsid[RBD_NAME_MAX];
    struct rbd_name disk;
    struct error unreadable = ERROR_INIT, failure = ERROR_INIT;
    if (direct_read_entry(&op, recovery->info, entries->begin, fsid, &disk, &unreadable) == 0)
        op.cloned = direct_open_again(&op, &options, fsid, &disk, &failure) == 0;
    log_debug("recovering a direct snapshot of %s: clone %s/%s, snapshot %s",
              recovery->info->disk_path, op.target.pool, op.target.image,
              op.snapped ? "may be there" : "is gone");
    direct_copy_undo(&op, &failure); /* the guest is thawed in any case */
    if (failure.errnum == 0)
        failure = unreadable;
    if (failure.errnum != 0)
        *err = failure;
    return -failure.errnum;
}
