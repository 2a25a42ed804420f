/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands `domain delete-checkpoint` and `domain flatten`: what a checkpoint has kept apart
 * becomes one again. What was written since goes down into the file that kept the instant, which
 * keeps its name; nothing that anything else needs is touched. On one thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "domain/session.h"

/* Strings are borrowed. */
struct delete_request {
    const char *name;         /* of a deletion: the checkpoint */
    bool children;            /* and all that were made after it */
    const char *const *disks; /* of a flatten: "vda=FILE" */
    size_t disk_count;
    bool force; /* also of a guest that was saved to a file */
};

/*
 * Deletes a checkpoint of libvirt's snapshots, and with `children` first all that were made after
 * it. All are known to be possible before the first is begun. *ret_done, also after a failure: the
 * notes (merge_plan.h, internal_delete.h) of those that are deleted, returned owned. First what an
 * earlier command has left is undone. ENOENT when there is no such checkpoint; errors as
 * saved_file_check(), merge_check.h, merge_plan.h and internal_delete.h. After a failure that says
 * so the rest of it is done by the next command, or the timer's.
 */
int checkpoint_delete(struct session *session, const struct delete_request *request,
                      json_t **ret_done, struct error *err);

/*
 * Merges all layers of disks down into one file each: `disks` are "vda=FILE". Without any, of a
 * domain of nova's, those in its instance's folder into the lowest file there. *ret_done as above;
 * empty when nothing stands on them. EINVAL naming a checkpoint that is to be deleted first.
 */
int checkpoint_delete_flatten(struct session *session, const struct delete_request *request,
                              json_t **ret_done, struct error *err);
