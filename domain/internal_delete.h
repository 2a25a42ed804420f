/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deletion of a checkpoint inside the disks' own files: libvirt's work, on files that are known
 * to be those it was made in. On one thread.
 *
 * Notes of the record:
 *   delete    {snapshot, created: its <creationTime>, disks: [{target, file: one of
 *             merge_chain.h}]}: what is to be deleted, and no later one of its name; an older
 *             version did not note when it was made
 *   deleting  libvirt is asked for it
 */
#pragma once

#include <jansson.h>
#include <libxml/tree.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/session.h"

/*
 * Reads a <domainsnapshot> of that name whose disks are all internal. EINVAL naming the disk when
 * the guest goes on in another file, when that holds no one snapshot of the name, or when a further
 * disk, which libvirt would take for a part of it, holds one; or naming who else needs a file.
 * Returned owned.
 */
int internal_delete_plan(const struct session *session, const char *name, const xmlNode *root,
                         json_t **ret_note, struct error *err);

/*
 * Does what is noted, or what of it is still to be done, and looks into the files afterwards. To be
 * called again after a failure, unless it notes nothing any more: when libvirt has done nothing, or
 * (EIO) has forgotten a checkpoint that a file still holds. ENOENT with InstanceNotFound.
 */
int internal_delete_run(struct session *session, struct error *err);

/* Whether libvirt may have deleted a part of it. */
bool internal_delete_has_begun(const struct session *session);
