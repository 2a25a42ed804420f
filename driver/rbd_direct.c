/*
 * The direct snapshot, as nova's Rbd.direct_snapshot: a snapshot of the root disk is cloned into
 * Glance's pool, the clone flattened and given the protected snapshot "snap" that Glance works
 * with. No data leaves the cluster. Unlike nova's it is consistent when the guest can be frozen.
 *
 * undo_copy() runs after every failure and takes back whatever the progress says may be there.
 */
#include <errno.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/id.h"
#include "driver/guest_quiesce.h"
#include "driver/libvirt_driver.h"
#include "driver/rbd.h"

#define GLANCE_SNAP "snap"      /* glance_store: rbd.DEFAULT_SNAPNAME */
#define FROZEN_OP_TIMEOUT_S 10U /* a guest does not stand still for a cluster that hangs */

struct direct_copy {
    struct libvirt_driver *driver;
    const struct guest_info *info;
    const struct direct_snapshot *direct;
    struct rados_client client;
    struct rbd_volume disk;
    struct rbd_name target; /* the new image */
    struct rbd_volume copy; /* the same, open */
    virDomainPtr domain;    /* owned; only of a guest that is to be frozen */
    /* progress: what undo_copy() has to take back */
    struct guest_freeze freeze;
    char snap[ID_HEX_SIZE]; /* of the disk, for the time of the copy; "" = none */
    bool cloned;
};

static int open_disk(struct direct_copy *op, struct error *err)
{
    struct rbd_name name;
    if (op->info->source_type != DISK_SOURCE_RBD)
        return error_set(err, ENOTSUP, EXC_IMAGE_UNACCEPTABLE, "root disk %s is not on RBD",
                         op->info->disk_path);
    if (!id_is_uuid(op->direct->image_id))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "image id %s is not a uuid",
                         op->direct->image_id);
    int r = rbd_name_parse(op->info->disk_path, &name, err);
    if (r == 0)
        r = rados_client_open(&op->client, &op->driver->rbd, err);
    return r < 0 ? r : rbd_volume_open(&op->disk, &op->client, &name, err);
}

/* Where Glance keeps the image the instance was booted from, if that is in this cluster. */
static int find_pool_of_locations(struct direct_copy *op, struct error *err)
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

static int find_target(struct direct_copy *op, struct error *err)
{
    struct error failure = ERROR_INIT;
    memcpy(op->target.image, op->direct->image_id, ID_UUID_SIZE);
    int r = rbd_volume_parent_pool(&op->disk, op->target.pool, &failure);
    if (r == -ENOENT)
        return find_pool_of_locations(op, err);
    if (r < 0)
        *err = failure;
    return r;
}

/* Fails only when the image must be consistent; a guest that does not run does not write. */
static int freeze_guest(struct direct_copy *op, struct error *err)
{
    const struct guest_quiesce quiesce = {.wanted = op->direct->quiesce,
                                          .required = op->direct->require_quiesce,
                                          .power_state = op->info->power_state,
                                          .timeout_s = op->driver->freeze_timeout_s};
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

/* A guest that has ended is no longer frozen. */
static int find_domain_again(struct direct_copy *op, struct error *err)
{
    struct error failure = ERROR_INIT;
    if (virDomainIsActive(op->domain) == 1)
        return 0;
    (void)virDomainFree(op->domain);
    op->domain = NULL;
    int r =
        libvirt_connection_find_domain(op->driver->connection, op->info->uuid, LIBVIRT_PATIENCE_MS,
                                       EXC_INSTANCE_NOT_FOUND, &op->domain, &failure);
    if (r < 0 && r != -ENOENT) {
        *err = failure;
        return r;
    }
    if (!op->domain || virDomainIsActive(op->domain) == 0)
        op->freeze = (struct guest_freeze){0};
    return 0;
}

static int thaw_guest(struct direct_copy *op, struct error *err)
{
    int r = guest_freeze_end(&op->freeze, op->domain, err);
    return r < 0 ? r : guest_freeze_release_agent(&op->freeze, op->domain, err);
}

static int settle_guest(struct direct_copy *op, struct error *err)
{
    CANCEL_SHIELD();
    struct error failure = ERROR_INIT;
    if (!op->freeze.thaw_needed && !op->freeze.limited)
        return 0;
    if (op->domain && thaw_guest(op, &failure) == 0)
        return 0;
    int r = find_domain_again(op, err);
    return r < 0 || !op->domain ? r : thaw_guest(op, err);
}

static int lift_limit(struct direct_copy *op, struct error *err)
{
    return op->client.cluster ? rados_client_limit(&op->client, op->driver->rbd.op_timeout_s, err)
                              : 0;
}

/* The point in time of the image. The guest's filesystems stand still for no more than this. */
static int snap_disk(struct direct_copy *op, struct error *err)
{
    struct error failure = ERROR_INIT;
    int r = freeze_guest(op, err);
    if (r == 0) {
        id_new_hex(op->snap);
        r = rbd_volume_create_snap(&op->disk, op->snap, err);
    }
    if (settle_guest(op, &failure) < 0) {
        error_join(err, &failure);
        r = -err->errnum;
    }
    if (r == 0)
        r = lift_limit(op, err);
    return r < 0 ? r : rbd_volume_protect_snap(&op->disk, op->snap, err);
}

static int clone_disk(struct direct_copy *op, struct error *err)
{
    int r = rbd_volume_clone(&op->disk, op->snap, &op->target, err);
    op->cloned = r != -EEXIST && r != -EPERM && r != -EACCES; /* else what is there is not ours */
    if (r == 0)
        r = rbd_volume_open(&op->copy, &op->client, &op->target, err);
    if (r == 0)
        r = cancel_check(err);
    if (r == 0)
        r = rbd_volume_flatten(&op->copy, err); /* librbd does not let it be interrupted */
    return r < 0 ? r : cancel_check(err);
}

static int remove_disk_snap(struct direct_copy *op, struct error *err)
{
    if (!op->snap[0])
        return 0;
    int r = rbd_volume_remove_snap(&op->disk, op->snap, err);
    if (r == 0)
        op->snap[0] = '\0';
    return r;
}

static int finish_image(struct direct_copy *op, char **ret_location, struct error *err)
{
    struct rbd_location location = {.snap = GLANCE_SNAP};
    int r = rbd_volume_create_snap(&op->copy, GLANCE_SNAP, err);
    if (r == 0)
        r = rbd_volume_protect_snap(&op->copy, GLANCE_SNAP, err);
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

static int copy_disk(struct direct_copy *op, char **ret_location, struct error *err)
{
    int r = open_disk(op, err);
    if (r == 0)
        r = find_target(op, err);
    if (r == 0)
        r = cancel_check(err);
    if (r == 0)
        r = snap_disk(op, err);
    if (r == 0)
        r = clone_disk(op, err);
    if (r == 0)
        r = remove_disk_snap(op, err);
    return r < 0 ? r : finish_image(op, ret_location, err);
}

static int remove_copy(struct direct_copy *op, struct error *err)
{
    rbd_volume_close(&op->copy);
    return op->cloned ? rbd_destroy_volume(&op->client, &op->target, GLANCE_SNAP, err) : 0;
}

/*
 * Every step runs, if need be twice, whatever became of the others; what is in use has been waited
 * for. *err keeps the first error.
 */
static void undo_copy(struct direct_copy *op, struct error *err)
{
    CANCEL_SHIELD();
    int (*const steps[])(struct direct_copy *, struct error *) = {
        settle_guest,
        lift_limit,
        remove_copy,
        remove_disk_snap,
    };
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        struct error failure = ERROR_INIT;
        int r = steps[i](op, &failure);
        if (r < 0 && r != -EBUSY)
            r = steps[i](op, &failure);
        if (r < 0)
            error_join(err, &failure);
    }
}

static void direct_copy_done(struct direct_copy *op)
{
    rbd_volume_close(&op->copy);
    rbd_volume_close(&op->disk);
    rados_client_close(&op->client);
    if (op->domain)
        (void)virDomainFree(op->domain);
}

int libvirt_direct_snapshot(struct libvirt_driver *driver, const struct guest_info *info,
                            const struct direct_snapshot *direct, char **ret_location,
                            struct error *err)
{
    __attribute__((cleanup(direct_copy_done))) struct direct_copy op = {
        .driver = driver, .info = info, .direct = direct};
    int r = copy_disk(&op, ret_location, err);
    if (r < 0)
        undo_copy(&op, err);
    return r;
}

/* Only what a direct snapshot can have made is removed. */
static int check_undo(const struct rados_client *client, const struct rbd_location *location,
                      struct error *err)
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

int libvirt_undo_direct_snapshot(struct libvirt_driver *driver, const char *location,
                                 struct error *err)
{
    __attribute__((cleanup(rados_client_close))) struct rados_client client = {0};
    struct rbd_location parsed;
    struct rbd_name name;
    int r = rbd_location_parse(location, &parsed, err);
    if (r == 0)
        r = rados_client_open(&client, &driver->rbd, err);
    if (r == 0)
        r = check_undo(&client, &parsed, err);
    if (r < 0)
        return r;
    memcpy(name.pool, parsed.pool, sizeof(name.pool));
    memcpy(name.image, parsed.image, sizeof(name.image));
    return rbd_destroy_volume(&client, &name, GLANCE_SNAP, err);
}
