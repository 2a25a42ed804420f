/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a command ends, whatever became of it: by what its record tells. The same steps run at the
 * end of the command itself and for one that has died.
 *
 * Notes of a record, each written before what it tells of:
 *   driver       an entry of the driver's (driver/journal.h)
 *   scratch      {directory, file}: files of a further disk of a backup job
 * (driver/image/staging.h) checkpoint   {name, id}: a checkpoint that is made with the job
 * (bitmap_checkpoint.h) file         {partial, path}: an image that is written to `partial`
 *   complete     all files are whole and verified: they are put in place, the checkpoint stays
 */
#pragma once

#include "common/error.h"
#include "domain/session.h"

/*
 * Brings the guest back as it was, ends a backup job and removes its files. Then either puts the
 * images in place, where they were complete, or removes them and the checkpoint. To be called again
 * after a failure; an empty record is nothing to do.
 */
int leftover_undo(struct session *session, struct error *err);
