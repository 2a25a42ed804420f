/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RBD images of a Ceph cluster, as nova's RBDDriver and RBDVolumeProxy. For driver/ only.
 *
 * Every wait has an end: every single operation op_timeout_s, what is in use
 * rbd_destroy_volume_retries attempts. An operation whose answer is lost may have had its effect. A
 * volume is for the thread of its client.
 *
 * Errors: Forbidden when the Ceph user may not do it, DiskNotFound for a pool or image that is not
 * there, else InternalError; the errno is Ceph's.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "driver/ceph/librbd.h"
#include "driver/ceph/rados_client.h"
#include "driver/ceph/rbd_name.h"

struct rbd_volume {
    const struct rados_client *client; /* borrowed */
    struct rbd_name name;
    rados_ioctx_t ioctx;
    rbd_image_t image;
};

/* Opens an image: close it with rbd_volume_close(). Nothing is held after a failure. */
int rbd_volume_open(struct rbd_volume *volume, const struct rados_client *client,
                    const struct rbd_name *name, struct error *err);

/* Does nothing for a volume that is all zero. */
void rbd_volume_close(struct rbd_volume *volume);

/* The pool of the image it was cloned from. ImageUnacceptable when there is none to use. */
int rbd_volume_parent_pool(const struct rbd_volume *volume, char ret_pool[static RBD_NAME_MAX],
                           struct error *err);

/* -EEXIST when there is a snapshot of that name. */
int rbd_volume_create_snap(const struct rbd_volume *volume, const char *snap, struct error *err);

/* Keeps a snapshot from being removed: only a protected one can be cloned. */
int rbd_volume_protect_snap(const struct rbd_volume *volume, const char *snap, struct error *err);

/* Unprotects and removes; what is not there is no failure. */
int rbd_volume_remove_snap(const struct rbd_volume *volume, const char *snap, struct error *err);

/*
 * A copy-on-write clone of a protected snapshot, with rbd_default_features. -EEXIST when there is
 * such an image: it is not the caller's.
 */
int rbd_volume_clone(const struct rbd_volume *volume, const char *snap,
                     const struct rbd_name *clone, struct error *err);

/* Copies into a clone what it has only through its parent, which it needs no longer then. */
int rbd_volume_flatten(const struct rbd_volume *volume, struct error *err);

/* Removes an image, complete or not, with its snapshot `snap`; what is not there is no failure. */
int rbd_destroy_volume(const struct rados_client *client, const struct rbd_name *name,
                       const char *snap, struct error *err);
