/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disks of a merge (merge_plan.h), one after the other: by a commit while the guest runs, else
 * at rest; or found to be done, given up, or put below others' layers. Each step is noted before it
 * is taken (merge_progress.h) and may have been taken before. On one thread.
 */
#pragma once

#include <jansson.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/session.h"

/* A merge, of one run of it. */
struct merging {
    struct session *session;
    json_t *note;         /* owned */
    const char *snapshot; /* NULL: none is deleted */
    virDomainPtr domain;  /* owned */
    bool is_active;
};

/* Borrowed from the note. */
static inline json_t *disks_of(const struct merging *merging)
{
    return json_object_get(merging->note, "disks");
}

/*
 * Brings each disk of the note to its end. Looks for the domain, and sets `domain` and `is_active`
 * as they are then, also on failure; what is owned the caller frees. To be called again after a
 * failure. A disk may have been given up: the note is to be read anew. EINVAL, ESTALE and
 * InstanceNotFound as merge_settle_run() (merge_settle.h); EAGAIN when several attempts at a disk
 * did not end it; errors of merge_live.h, merge_rest.h and libvirt.
 */
int merge_disks(struct merging *merging, struct error *err);
