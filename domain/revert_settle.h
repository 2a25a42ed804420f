/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How going back to a checkpoint ends, also that of a command that has died: in the
 * domain's old state, or at the checkpoint. On one thread.
 *
 * Notes of its record, besides those of the checkpoint of what is left behind and of calls
 * (checkpoint_settle.h, pending_call.h):
 *   revert    {to: where it is to go, was_running, run: of the guest (domain_run.h)}; to an
 *             internal one {to: {current}} alone
 *   layers    those of a place are made (revert_layers.h): nothing is started, ended or removed
 *             where a guest has written to one since; with the empty ones of where it is to go it
 *             cannot get there
 *   suspend   the guest is about to be paused
 *   switch    {to: where it comes from}: all that was is kept by that checkpoint. From here on
 *             the domain goes to the new place
 *   entered   it is there
 *   back      {why}: it cannot get there, and goes back to where it came from
 *   returned  it has
 *   internal  {name, run: of the guest, asked: how often libvirt was asked for other things
 *             before, current: the current checkpoint}: libvirt is about to take it back to this
 *             internal one, file by file, and alone knows how far; `layers` has the files as they
 *             are then. `entered` or `returned` when it has told. Until then it is kept, unless
 *             the guest, the current checkpoint or the files show it
 *
 * A place: {current: the checkpoint's name, state: "running", "paused" or "shut off",
 * memory: its file or "", memory_xml, definition, disks: [{target, base, overlay}]}
 */
#pragma once

#include <jansson.h>

#include "common/error.h"
#include "domain/checkpoint_plan.h"
#include "domain/session.h"

/* Strings are borrowed; the XML is secret. */
struct revert_place {
    const char *current;
    const char *state;
    const char *memory;     /* "": the guest is started anew */
    const char *memory_xml; /* its definition with the disks at their overlays; "" */
    const char *definition; /* the same of the domain's next start */
    const struct checkpoint_disk *disks;
    size_t disk_count;
};

/* Returned owned; NULL without memory. */
json_t *revert_settle_note_of(const struct revert_place *place);

/*
 * Behind checkpoint_settle(). To be called again after a failure; nothing to do when none is noted.
 * 0 when the domain is at either place: which, is in the record. One whose guest went on meanwhile
 * stays as it is, with a warning, and starts next where it runs (revert_where.h); EBUSY while
 * libvirt keeps a memory of it; ENOENT, and what else the look at a layer comes to, where nobody
 * can tell what became of one, as when its storage is not mounted. Tells session->outcome.
 */
int revert_settle(struct session *session, struct error *err);

/* Behind a failure of either: a guest that was paused for this, and was not ended, runs on. */
void revert_settle_release(struct session *session);
