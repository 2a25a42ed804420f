/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps the layers of a domain from being merged, found before anything is touched. On one
 * thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "domain/session.h"

/*
 * Of the domain as such: EBUSY for a job under way; EINVAL for one that is transient, saved to
 * disk, has suspended itself, has checkpoints of increments, or one that libvirt
 * itself has gone back to.
 */
int merge_check_domain(const struct session *session, struct error *err);

/*
 * Of a merge (merge_plan.h), when the branches in the array `before` (branch_plan.h; NULL: none)
 * will have gone: EBUSY for a block job on one of its disks, ENOSPC where what goes into
 * a base might not fit, EINVAL naming who needs a file as it is, or InvalidDiskInfo one that is
 * damaged, which a guest that runs hides.
 */
int merge_check(const struct session *session, const json_t *merge, const json_t *before,
                struct error *err);

/* For its test: the most room that a disk's merge may take where its base is, with a reserve; what
 * has blocks there already takes no others where a file is written in place. */
#define MERGE_RESERVE_BYTES (UINT64_C(64) << 20) /* tables, and what else is written meanwhile */
uint64_t merge_check_bytes(const json_t *disk, bool in_place);
