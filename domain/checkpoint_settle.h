/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the making of a checkpoint ends, also that of a command that has died: libvirt goes on with
 * what it was asked for. On one thread.
 *
 * Its note in the record: {name, asked: how often libvirt was asked for other things before,
 * was_running, halts, quiesce, memory: its file, if there is to be one, memory_folder, disks:
 * [{target, base, overlay, folder}]}, the folders as file_folder.h has them; a note "made" behind
 * it when libvirt said that it is, "unreserved" when the memory's file is somebody's.
 */
#pragma once

#include <jansson.h>

#include "common/error.h"
#include "domain/checkpoint_plan.h"
#include "domain/session.h"

/* The note of what is about to be made, owned. ENOENT when the folder of a file is not there. */
int checkpoint_settle_note(const struct session *session, const struct checkpoint_plan *plan,
                           const struct checkpoint_request *request, json_t **ret_note,
                           struct error *err);

/*
 * Waits for libvirt to be done, also with a call that waits for its turn (pending_call.h), brings a
 * guest back that stands still or is frozen, and, where the domain has no such checkpoint, removes
 * the files that nothing names. To be called again after a failure; nothing to do when none is
 * noted. EBUSY when libvirt is still at it; ENOENT when nobody can tell what became of a file, as
 * when its storage is not mounted.
 */
int checkpoint_settle(struct session *session, struct error *err);
