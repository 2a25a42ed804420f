/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deletion of a checkpoint inside the disks' own files: libvirt's work, on files that are known
 * to be those it was made in. On one thread.
 *
 * Its note in the record, "delete": {snapshot, disks: [{target, file: one of merge_chain.h}]}.
 */
#pragma once

#include <jansson.h>
#include <libxml/tree.h>

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
 * Does what is noted, or what of it is still to be done, and looks into the files afterwards.
 * Nothing to do when nothing is noted. To be called again after a failure.
 */
int internal_delete_settle(struct session *session, struct error *err);
