/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a checkpoint of libvirt's snapshots can go: what was written since into the file that kept
 * its instant, where the guest goes on from it; its files with it, where it is the end of a branch
 * that the guest has left; by libvirt, where it is inside its disks. Changes nothing. On one
 * thread.
 */
#pragma once

#include <jansson.h>
#include <libvirt/libvirt.h>

#include "common/error.h"
#include "domain/session.h"

struct deletion_plan {
    const char *kind; /* static, of the record's note: "merge", "branch" or "delete" */
    json_t *note;     /* owned: merge_plan.h, branch_plan.h, internal_delete.h */
};

/*
 * `before` are the notes of branches that will have gone by then, an array. EINVAL naming what is
 * in the way, as merge_check.h, merge_plan.h, branch_plan.h, branch_check.h and internal_delete.h.
 */
int deletion_plan_make(const struct session *session, virDomainSnapshotPtr snapshot,
                       const json_t *before, struct deletion_plan *ret_plan, struct error *err);

/*
 * What has to go before that: where the guest went back to the checkpoint, and goes on from it in
 * other layers, those that it was made with, a branch without a checkpoint. The note is NULL where
 * there are none. EINVAL naming the checkpoint that needs one.
 */
int deletion_plan_spare(const struct session *session, virDomainSnapshotPtr snapshot,
                        const json_t *before, struct deletion_plan *ret_plan, struct error *err);
