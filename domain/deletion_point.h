/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint beside its disks that is to be deleted, and where its disks are now. On one thread.
 */
#pragma once

#include <jansson.h>
#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "domain/checkpoint_plan.h"
#include "domain/layer_map.h"
#include "domain/session.h"

struct deletion_point {
    struct checkpoint_disk *disks; /* owned: what they were then, and the layers it was made with */
    json_t **chains;               /* owned: of each disk as it is now (merge_chain.h); an empty one
                                      where the domain has it no more */
    bool *is_detached;             /* owned: nor does its next start have a disk of that name */
    size_t disk_count;
    size_t in_chain_count; /* of the disks that the guest goes on from it with */
};

/*
 * By libvirt's <domainsnapshot>. EINVAL naming the disk of which it cannot be told, or that has
 * layers that cannot be read. Free with deletion_point_done(), also after a failure.
 */
int deletion_point_read(virDomainPtr domain, const xmlNode *root, struct deletion_point *ret_point,
                        struct error *err);

void deletion_point_done(struct deletion_point *point);

#define cleanup_deletion_point __attribute__((cleanup(deletion_point_done)))

/* Whether the guest goes on from it in another layer than that it was made with, which is there. */
bool deletion_point_is_left_beside(const struct deletion_point *point, size_t disk);

/* Whether that disk was detached for good, and no other of the domain's, nor of its next start's,
 * stands on the file that keeps the checkpoint. */
bool deletion_point_is_detached(const struct deletion_point *point, size_t disk,
                                const struct layer_map *map);

/* Of its disks, those alone. */
void deletion_point_keep_left_beside(struct deletion_point *point);
