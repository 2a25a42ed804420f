/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The direct snapshot, as nova's Rbd.direct_snapshot: a snapshot of the root disk is cloned into
 * Glance's pool, the clone flattened and given the protected snapshot "snap" that Glance works
 * with. No data leaves the cluster. Unlike nova's it is consistent when the guest can be frozen.
 *
 * direct_copy_undo() runs after every failure and takes back whatever the progress says may be
 * there; for a process that has died the journal tells what that is.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/cancel.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/journal.h"
#include "driver/libvirt/guest_quiesce.h"
#include "driver/snapshot/direct_copy.h"

#define FROZEN_OP_TIMEOUT_S 10U /* a guest does not stand still for a cluster that hangs */

static int direct_open_disk(struct direct_copy *op, struct error *err)
{
    struct rbd_name name;
    if (op->info->source_type != DISK_SOURCE_RBD)
        return error_set(err, ENOTSUP, EXC_IMAGE_UNACCEPTABLE, "root disk %s is not on RBD",
                         op->info->disk_path);
    if (!id_is_uuid(op->direct->image_id))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "image id %s is not a uuid",
                         op->direct->image_id);
    int r = rbd_name_parse(op->info->disk_path, &name, err);
    if (r < 0)
        return r;
    r = rados_client_open(&op->client, &op->driver->rbd, err);
    return r < 0 ? r : rbd_volume_open(&op->disk, &op->client, &name, err);
}

/* Where Glance keeps the image the instance was booted from, if that is in this cluster. */
static int direct_find_pool(struct direct_copy *op, struct error *err)
{
    static const char *const none[] = {NULL};
    const char *const *locations = op->direct->parent_locations;
    for (locations = locations ? locations : none; *locations; locations++) {
        struct rbd_location location;
        struct error ignored = ERROR_INIT;
        if (rbd_location_parse(*locations, &location, &ignored) < 0 ||
            strcmp(location.fsid, op->client.fsid) != 0 ||
            !rados_client_has_pool(&op->client, location.pool))
            continue;
        memcpy(op->target.pool, location.pool, sizeof(op->target.pool));
        return 0;
    }
    return error_set(err, ENOENT, EXC_IMAGE_UNACCEPTABLE,
                     "Cannot determine the parent storage pool for %s", op->direct->image_id);
}

static int direct_find_target(struct direct_copy *op, struct error *err)
{
    struct error failure = ERROR_INIT;
    memcpy(op->target.image, op->direct->image_id, ID_UUID_SIZE);
    int r = rbd_volume_parent_pool(&op->disk, op->target.pool, &failure);
    if (r == -ENOENT)
        return direct_find_pool(op, err);
    if (r < 0)
        *err = failure;
    return r;
}

/* Fails only when the image must be consistent; a guest that does not run does not write. */
static int direct_freeze_guest(struct direct_copy *op, struct error *err)
{
    const struct guest_quiesce quiesce = {.wanted = op->direct->quiesce,
                                          .required = op->direct->require_quiesce,
                                          .power_state = op->info->power_state};
    bool quiesced = false;
    if (op->info->power_state != POWER_STATE_RUNNING)
        return 0;
    int r = guest_quiesce_check(&quiesce, err);
    if (r < 0 || !quiesce.wanted)
        return r;
    r = libvirt_connection_find_domain(op->driver->connection, op->info->uuid, 0,
                                       EXC_INSTANCE_NOT_FOUND, &op->domain, err);
    if (r == 0)
        r = rados_client_limit(&op->client, FROZEN_OP_TIMEOUT_S, err);
    return r < 0 ? r : guest_quiesce_start(&quiesce, &op->freeze, op->domain, &quiesced, err);
}

/*
 * Writes down what is about to be made, before anything is. An image that is there already is not
 * ours: what is written down is what may be removed.
 */
static int direct_check_target_is_free(const struct direct_copy *op, struct error *err)
{
    struct rbd_volume there = {0};
    struct error failure = ERROR_INIT;
    int r = rbd_volume_open(&there, &op->client, &op->target, &failure);
    rbd_volume_close(&there);
    if (r == -ENOENT)
        return 0;
    if (r == 0)
        return error_errno(err, EEXIST, "cannot make RBD image %s/%s", op->target.pool,
                           op->target.image);
    *err = failure;
    return r;
}

static int direct_begin(struct direct_copy *op, struct error *err)
{
    int r = direct_check_target_is_free(op, err);
    if (r < 0)
        return r;
    id_new_hex(op->snap);
    log_debug("direct snapshot: %s@%s is cloned to %s/%s", op->info->disk_path, op->snap,
              op->target.pool, op->target.image);
    if (op->direct->journal)
        r = driver_journal_write(op->direct->journal, direct_copy_entry(op), err);
    failpoint("direct:written-down");
    return r;
}

/* The point in time of the image. The guest's filesystems stand still for no more than this. */
static int direct_snap_disk(struct direct_copy *op, struct error *err)
{
    struct error failure = ERROR_INIT;
    uint64_t since_ms = clock_now_ms();
    int r = direct_freeze_guest(op, err);
    failpoint("direct:frozen");
    if (r == 0) {
        op->snapped = true; /* also when the answer is lost */
        r = rbd_volume_create_snap(&op->disk, op->snap, err);
    }
    if (r == 0)
        driver_tell_instant(op->direct->observer);
    failpoint("direct:snap-made");
    if (direct_copy_settle_guest(op, &failure) < 0) {
        error_join(err, &failure);
        r = -err->errnum;
    }
    log_debug("snapshot of the disk, freeze and thaw included, took %" PRIu64 " ms",
              clock_now_ms() - since_ms);
    if (r < 0)
        return r;
    failpoint("direct:thawed");
    r = direct_copy_lift_limit(op, err);
    if (r == 0)
        r = rbd_volume_protect_snap(&op->disk, op->snap, err);
    failpoint("direct:snap-protected");
    return r;
}

static int direct_clone_disk(struct direct_copy *op, struct error *err)
{
    int r = rbd_volume_clone(&op->disk, op->snap, &op->target, err);
    op->cloned = r != -EEXIST && r != -EPERM && r != -EACCES; /* else what is there is not ours */
    failpoint("direct:cloned");
    if (r < 0)
        return r;
    r = rbd_volume_open(&op->copy, &op->client, &op->target, err);
    if (r < 0)
        return r;
    r = cancel_check(err);
    if (r < 0)
        return r;
    log_debug("flattening %s/%s", op->target.pool, op->target.image);
    r = rbd_volume_flatten(&op->copy, err); /* librbd does not let it be interrupted */
    failpoint("direct:flattened");
    return r < 0 ? r : cancel_check(err);
}

static int direct_finish_image(struct direct_copy *op, char **ret_location, struct error *err)
{
    struct rbd_location location = {.snap = GLANCE_SNAP};
    int r = rbd_volume_create_snap(&op->copy, GLANCE_SNAP, err);
    if (r < 0)
        return r;
    r = rbd_volume_protect_snap(&op->copy, GLANCE_SNAP, err);
    failpoint("direct:image-protected");
    if (r < 0)
        return r;
    memcpy(location.fsid, op->client.fsid, sizeof(location.fsid));
    memcpy(location.pool, op->target.pool, sizeof(location.pool));
    memcpy(location.image, op->target.image, sizeof(location.image));
    char *text = rbd_location_format(&location);
    if (!text)
        return error_nomem(err);
    *ret_location = text;
    return 0;
}

static int direct_copy_disk(struct direct_copy *op, char **ret_location, struct error *err)
{
    int r = direct_open_disk(op, err);
    if (r < 0)
        return r;
    r = direct_find_target(op, err);
    if (r < 0)
        return r;
    r = cancel_check(err);
    if (r < 0)
        return r;
    r = direct_begin(op, err);
    if (r < 0)
        return r;
    r = direct_snap_disk(op, err);
    if (r < 0)
        return r;
    r = direct_clone_disk(op, err);
    if (r < 0)
        return r;
    r = direct_copy_remove_disk_snap(op, err);
    if (r < 0)
        return r;
    failpoint("direct:snap-removed");
    return direct_finish_image(op, ret_location, err);
}

/* The data goes no other way before this one is clear: recover knows of the last one begun only. */
static void direct_clear_away(struct direct_copy *op, struct error *err)
{
    struct error left = ERROR_INIT;
    direct_copy_undo(op, &left);
    if (left.errnum == 0 && op->snap[0])
        (void)direct_copy_write_undone(op->direct->journal, &left);
    if (left.errnum == 0)
        return;
    error_join(err, &left);
    if (error_is(err, EXC_IMAGE_UNACCEPTABLE) || error_is(err, EXC_FORBIDDEN))
        (void)error_set(err, err->errnum, EXC_INTERNAL_ERROR, "%s", err->message);
}

int libvirt_direct_snapshot(struct libvirt_driver *driver, const struct guest_info *info,
                            const struct direct_snapshot *direct, char **ret_location,
                            struct error *err)
{
    __attribute__((cleanup(direct_copy_done))) struct direct_copy op = {
        .driver = driver,
        .info = info,
        .direct = direct,
        .freeze = {.connection = driver->connection,
                   .journal = direct->journal,
                   .timeout_s = driver->freeze_timeout_s}};
    int r = direct_copy_disk(&op, ret_location, err);
    if (r < 0)
        direct_clear_away(&op, err);
    return r;
}
