/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a checkpoint of libvirt's snapshots can go: what was written since into the file that kept
 * its instant, or, where it is inside its disks, by libvirt. Changes nothing. On one thread.
 */
#pragma once

#include <jansson.h>
#include <libvirt/libvirt.h>

#include "common/error.h"
#include "domain/session.h"

struct deletion_plan {
    const char *kind; /* static, of the record's note: "merge" or "delete" */
    json_t *note;     /* owned: merge_plan.h, internal_delete.h */
};

/* EINVAL naming what is in the way, as merge_check.h, merge_plan.h and internal_delete.h. */
int deletion_plan_make(const struct session *session, virDomainSnapshotPtr snapshot,
                       struct deletion_plan *ret_plan, struct error *err);
