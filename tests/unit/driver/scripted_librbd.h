/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Ceph cluster of our own for the tests of the direct snapshot: two pools, the disk and the copy.
 * Calls are logged and made to fail by the script of scripted_libvirt.h.
 */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "driver/ceph/librbd.h"
#include "tests/unit/driver/scripted_libvirt.h"

#define FSID "5c1f0d0e-6f0b-4b7a-9a63-2f4a55d0c390"
#define IMAGE_ID "8d6e1f43-7ac4-4c6a-a1b3-0c5b9b1ee0c7"
#define SNAPS_MAX 3

struct scripted_image {
    const char *pool;
    const char *name;
    bool exists;
    bool has_parent;
    int opened;
    struct {
        char name[64];
        bool protected;
    } snaps[SNAPS_MAX]; /* "" = none */
};

static struct {
    struct scripted_image disk, copy;
    const char *parent_pool; /* of the disk; NULL = it has no parent */
    const char *parent_namespace;
    const char *default_features;
    bool library_missing;
    int error; /* what a call that fails returns */
    int busy;  /* this often what is to be removed is in use; -1 = always */
    bool guest_ends_at_snap;
    /* what happened */
    int clusters, pools;
    int attempts; /* to unprotect */
    char user[64], ceph_conf[64], mount_timeout[16], op_timeout[16];
    uint64_t clone_features;
    bool frozen_at_snap;
} ceph;

static void ceph_reset(void)
{
    memset(&ceph, 0, sizeof(ceph));
    ceph.disk = (struct scripted_image){.pool = "vms", .name = "u_disk", .exists = true};
    ceph.copy = (struct scripted_image){.pool = "images", .name = IMAGE_ID};
    ceph.parent_pool = "images";
    ceph.default_features = "5";
    ceph.error = -EIO;
}

/* A call that may be made to fail; `effect` runs unless a failure prevents it. */
#define CEPH_CALL(name, effect)                                                                    \
    do {                                                                                           \
        bool acts_ = false;                                                                        \
        bool failing_ = fails(name, &acts_);                                                       \
        if (acts_) {                                                                               \
            effect;                                                                                \
        }                                                                                          \
        if (failing_)                                                                              \
            return ceph.error;                                                                     \
    } while (0)

static int scripted_create(rados_t *cluster, const char *const id)
{
    CEPH_CALL("rados_create", (void)0);
    (void)snprintf(ceph.user, sizeof(ceph.user), "%s", id ? id : "NULL");
    ceph.clusters++;
    *cluster = &ceph;
    return 0;
}

static int scripted_conf_read_file(rados_t cluster, const char *path)
{
    (void)cluster;
    CEPH_CALL("rados_conf_read_file", (void)0);
    (void)snprintf(ceph.ceph_conf, sizeof(ceph.ceph_conf), "%s", path ? path : "NULL");
    return 0;
}

static int scripted_conf_set(rados_t cluster, const char *option, const char *value)
{
    (void)cluster;
    CEPH_CALL("rados_conf_set", (void)0);
    if (strcmp(option, "client_mount_timeout") == 0)
        (void)snprintf(ceph.mount_timeout, sizeof(ceph.mount_timeout), "%s", value);
    else if (strcmp(option, "rados_osd_op_timeout") == 0)
        (void)snprintf(ceph.op_timeout, sizeof(ceph.op_timeout), "%s", value);
    else if (strcmp(option, "rados_mon_op_timeout") != 0)
        abort();
    return 0;
}

static int scripted_conf_get(rados_t cluster, const char *option, char *buf, size_t len)
{
    (void)cluster;
    CEPH_CALL("rados_conf_get", (void)0);
    if (strcmp(option, "rbd_default_features") != 0)
        abort();
    (void)snprintf(buf, len, "%s", ceph.default_features);
    return 0;
}

static int scripted_connect(rados_t cluster)
{
    (void)cluster;
    if (!ceph.op_timeout[0])
        abort(); /* without a time limit: never */
    CEPH_CALL("rados_connect", (void)0);
    return 0;
}

static void scripted_shutdown(rados_t cluster)
{
    (void)cluster;
    ceph.clusters--;
}

static int scripted_cluster_fsid(rados_t cluster, char *buf, size_t len)
{
    (void)cluster;
    CEPH_CALL("rados_cluster_fsid", (void)0);
    return snprintf(buf, len, "%s", FSID);
}

/* An ioctx is the image there is in the pool. */
static int scripted_ioctx_create(rados_t cluster, const char *pool, rados_ioctx_t *ioctx)
{
    (void)cluster;
    CEPH_CALL("rados_ioctx_create", (void)0);
    struct scripted_image *image = strcmp(pool, ceph.disk.pool) == 0   ? &ceph.disk
                                   : strcmp(pool, ceph.copy.pool) == 0 ? &ceph.copy
                                                                       : NULL;
    if (!image)
        return -ENOENT;
    ceph.pools++;
    *ioctx = image;
    return 0;
}

static void scripted_ioctx_destroy(rados_ioctx_t ioctx)
{
    (void)ioctx;
    ceph.pools--;
}

static int scripted_open(rados_ioctx_t ioctx, const char *name, rbd_image_t *image,
                         const char *snap_name)
{
    struct scripted_image *there = ioctx;
    CEPH_CALL("rbd_open", (void)0);
    if (snap_name || strcmp(name, there->name) != 0 || !there->exists)
        return -ENOENT;
    there->opened++;
    *image = there;
    return 0;
}

static int scripted_close(rbd_image_t image)
{
    ((struct scripted_image *)image)->opened--;
    return 0;
}

static int scripted_get_parent(rbd_image_t image, rbd_linked_image_spec_t *parent,
                               rbd_snap_spec_t *snap)
{
    CEPH_CALL("rbd_get_parent", (void)0);
    if (image != &ceph.disk || !ceph.parent_pool)
        return -ENOENT;
    parent->pool_name = strdup(ceph.parent_pool);
    parent->pool_namespace = strdup(ceph.parent_namespace ? ceph.parent_namespace : "");
    snap->name = strdup("snap");
    return 0;
}

static void scripted_parent_cleanup(rbd_linked_image_spec_t *image)
{
    free(image->pool_name);
    free(image->pool_namespace);
}

static void scripted_snap_cleanup(rbd_snap_spec_t *snap)
{
    free(snap->name);
}

static int scripted_features(const char *text, uint64_t *features)
{
    CEPH_CALL("rbd_features_from_string", (void)0);
    char *end;
    *features = strtoull(text, &end, 10);
    return *end ? -EINVAL : 0;
}

/* The place of a snapshot; that of an empty name is a free one. -1 = none. */
static int snap_index(const struct scripted_image *image, const char *name)
{
    for (int i = 0; i < SNAPS_MAX; i++)
        if (strcmp(image->snaps[i].name, name) == 0)
            return i;
    return -1;
}

static bool snap_is_protected(const struct scripted_image *image, const char *name)
{
    int index = snap_index(image, name);
    return index >= 0 && image->snaps[index].protected;
}

static int scripted_clone(rados_ioctx_t p_ioctx, const char *p_name, const char *p_snapname,
                          rados_ioctx_t c_ioctx, const char *c_name, uint64_t features, int *order)
{
    struct scripted_image *clone = c_ioctx;
    if (p_ioctx != &ceph.disk || strcmp(p_name, ceph.disk.name) != 0 || *order != 0 ||
        !snap_is_protected(&ceph.disk, p_snapname) || strcmp(c_name, IMAGE_ID) != 0 ||
        world.frozen || strcmp(ceph.op_timeout, "300") != 0)
        abort();
    ceph.clone_features = features;
    if (clone->exists && ceph.error != -EPERM)
        return -EEXIST;
    CEPH_CALL("rbd_clone", clone->exists = clone->has_parent = true);
    return 0;
}

static int scripted_flatten(rbd_image_t image)
{
    if (image != &ceph.copy)
        abort(); /* never the disk */
    CEPH_CALL("rbd_flatten", ceph.copy.has_parent = false);
    return 0;
}

static void add_snap(struct scripted_image *image, const char *name)
{
    int index = snap_index(image, "");
    if (index < 0 || snap_index(image, name) >= 0)
        abort();
    (void)snprintf(image->snaps[index].name, sizeof(image->snaps[index].name), "%s", name);
    image->snaps[index].protected = false;
}

static int scripted_snap_create(rbd_image_t image, const char *name)
{
    if (image == &ceph.disk) {
        ceph.frozen_at_snap = world.frozen;
        if (world.frozen && strcmp(ceph.op_timeout, "10") != 0)
            abort(); /* a guest may not stand still for longer */
        if (ceph.guest_ends_at_snap) {
            world.exists = world.active = world.frozen = false;
            world.agent_timeout_s = VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK;
        }
    }
    CEPH_CALL(image == &ceph.disk ? "rbd_snap_create" : "rbd_snap_create-copy",
              add_snap(image, name));
    return 0;
}

static int scripted_snap_protect(rbd_image_t image, const char *name)
{
    struct scripted_image *there = image;
    int index = snap_index(there, name);
    if (index < 0)
        return -ENOENT;
    CEPH_CALL(image == &ceph.disk ? "rbd_snap_protect" : "rbd_snap_protect-copy",
              there->snaps[index].protected = true);
    return 0;
}

static int scripted_snap_unprotect(rbd_image_t image, const char *name)
{
    struct scripted_image *there = image;
    int index = snap_index(there, name);
    ceph.attempts++;
    if (index < 0)
        return -ENOENT;
    if (!there->snaps[index].protected)
        return -EINVAL;
    if (image == &ceph.disk && (ceph.copy.has_parent || ceph.busy != 0)) {
        ceph.busy -= ceph.busy > 0;
        return -EBUSY;
    }
    CEPH_CALL(image == &ceph.disk ? "rbd_snap_unprotect" : "rbd_snap_unprotect-copy",
              there->snaps[index].protected = false);
    return 0;
}

static int scripted_snap_remove(rbd_image_t image, const char *name)
{
    struct scripted_image *there = image;
    int index = snap_index(there, name);
    if (index < 0)
        return -ENOENT;
    if (there->snaps[index].protected)
        return -EBUSY;
    CEPH_CALL(image == &ceph.disk ? "rbd_snap_remove" : "rbd_snap_remove-copy",
              there->snaps[index].name[0] = '\0');
    return 0;
}

static int scripted_remove(rados_ioctx_t ioctx, const char *name)
{
    struct scripted_image *there = ioctx;
    if (ioctx != &ceph.copy || strcmp(name, IMAGE_ID) != 0 || there->opened > 0)
        abort(); /* nothing but the copy, closed */
    if (!there->exists)
        return -ENOENT;
    for (int i = 0; i < SNAPS_MAX; i++)
        if (there->snaps[i].name[0])
            return -ENOTEMPTY;
    if (ceph.busy != 0) {
        ceph.busy -= ceph.busy > 0;
        return -EBUSY;
    }
    CEPH_CALL("rbd_remove", there->exists = there->has_parent = false);
    return 0;
}

int __wrap_librbd_load(const struct librbd **ret_librbd, struct error *err);
int __wrap_librbd_load(const struct librbd **ret_librbd, struct error *err)
{
    static const struct librbd table = {
        .rados_create = scripted_create,
        .rados_conf_read_file = scripted_conf_read_file,
        .rados_conf_set = scripted_conf_set,
        .rados_conf_get = scripted_conf_get,
        .rados_connect = scripted_connect,
        .rados_shutdown = scripted_shutdown,
        .rados_cluster_fsid = scripted_cluster_fsid,
        .rados_ioctx_create = scripted_ioctx_create,
        .rados_ioctx_destroy = scripted_ioctx_destroy,
        .rbd_open = scripted_open,
        .rbd_close = scripted_close,
        .rbd_get_parent = scripted_get_parent,
        .rbd_linked_image_spec_cleanup = scripted_parent_cleanup,
        .rbd_snap_spec_cleanup = scripted_snap_cleanup,
        .rbd_features_from_string = scripted_features,
        .rbd_clone = scripted_clone,
        .rbd_flatten = scripted_flatten,
        .rbd_snap_create = scripted_snap_create,
        .rbd_snap_protect = scripted_snap_protect,
        .rbd_snap_unprotect = scripted_snap_unprotect,
        .rbd_snap_remove = scripted_snap_remove,
        .rbd_remove = scripted_remove,
    };
    if (ceph.library_missing)
        return error_set(err, ENOTSUP, EXC_IMAGE_UNACCEPTABLE, "no librbd");
    *ret_librbd = &table;
    return 0;
}
