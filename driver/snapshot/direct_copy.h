/* SPDX-License-Identifier: Apache-2.0 */
/* The direct snapshot in two parts: taking it (direct.c), undoing it (direct_copy.c). */
#pragma once

#include <jansson.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/id.h"
#include "driver/ceph/rbd.h"
#include "driver/ceph/rbd_location.h"
#include "driver/libvirt/guest_freeze.h"
#include "driver/libvirt_driver_private.h"

#define GLANCE_SNAP "snap" /* glance_store: rbd.DEFAULT_SNAPNAME */

struct direct_copy {
    struct libvirt_driver *driver;
    const struct guest_info *info;
    const struct direct_snapshot *direct;
    struct rados_client client;
    struct rbd_volume disk;
    struct rbd_name target; /* the new image */
    struct rbd_volume copy; /* the same, open */
    virDomainPtr domain;    /* owned; only of a guest that is to be frozen */
    /* progress: what direct_copy_undo() has to take back */
    struct guest_freeze freeze;
    char snap[ID_HEX_SIZE]; /* of the disk, for the time of the copy; "" = not chosen yet */
    bool snapped;
    bool cloned;
};

/* The journal's entry to begin with; NULL when out of memory. Returns owned. */
json_t *direct_copy_entry(const struct direct_copy *op);

/* Thaws the guest and takes its agent's time limit back, with cancellation held off. To be called
 * again after a failure. */
int direct_copy_settle_guest(struct direct_copy *op, struct error *err);

/* Gives the cluster's operations the time they have while no guest stands still. */
int direct_copy_lift_limit(struct direct_copy *op, struct error *err);

/* Removes the disk's snapshot, if it may be there. EBUSY when it is in use; that has been waited
 * for. */
int direct_copy_remove_disk_snap(struct direct_copy *op, struct error *err);

/*
 * Takes back whatever the progress says may be there. Every step runs, if need be twice, whatever
 * became of the others; what is in use has been waited for. *err keeps the first error.
 */
void direct_copy_undo(struct direct_copy *op, struct error *err);

/*
 * That all is undone. From then on the image's name may be Glance's own, whose data recover must
 * not take for the copy. NULL: nothing is written down.
 */
int direct_copy_write_undone(const struct driver_journal *journal, struct error *err);

/* Closes and frees what it holds; takes nothing back. */
void direct_copy_done(struct direct_copy *op);
