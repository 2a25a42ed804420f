/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nobody is kept from starting a guest while its domain goes to another place: what becomes of one
 * that was. A place is that of REVERT_TO or REVERT_FROM (revert_notes.h). On one thread.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "domain/revert_layers.h"
#include "domain/session.h"

/*
 * Behind the definition for the place of `note`: EBUSY when a guest was started just before it, and
 * runs on other disks, or has written to the layers of the other place. ENOENT when the domain has
 * gone.
 */
int revert_meanwhile_check(struct session *session, const char *note, struct error *err);

/*
 * The guest runs at the place of `note`: so does its next start, and the current checkpoint is its,
 * where they are those of the other place. Whatever else they are is somebody's wish.
 */
int revert_meanwhile_define(struct session *session, const char *note, struct error *err);

/*
 * The guest has written to a layer since, or somebody has put another in its place: a memory of
 * then does not fit any more, and going anywhere would lose what was written. Notes where the
 * domain is, with a warning; its next start is where it runs, or where it has written.
 */
int revert_meanwhile_end(struct session *session, bool is_active, enum revert_layers to,
                         enum revert_layers from, struct error *err);

/* Of a guest that runs at the checkpoint: that it was started, and not woken of its memory. */
void revert_meanwhile_warn_of_boot(const struct session *session);
