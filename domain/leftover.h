/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a command ends, whatever became of it: by what its record tells. The same steps run at the
 * end of the command itself and for one that has died.
 *
 * Notes of a record, each written before what it tells of:
 *   domain       {name}: what the domain is called, should it be lost
 *   driver       an entry of the driver's (driver/journal.h)
 *   scratch      {directory, file}: of a further disk of a backup job (driver/image/staging.h)
 *   checkpoint   {name, id}: one that is made with the job (bitmap_checkpoint.h)
 *   folder       {path}: one that is made for the images
 *   file         an image (image_settle.h)
 *   complete     all files are whole and verified: they are put in place, the checkpoint stays
 *   save, saved, restore  of a guest's memory (save_settle.h)
 *   snapshot     a checkpoint with a way back, made by libvirt (checkpoint_settle.h)
 *   begun, made  libvirt is asked for it; it said that it is
 *   revert, layers, suspend, switch, entered, back, returned, internal  the way back
 *                (revert_settle.h)
 *   merge, merging  layers that go, and the checkpoint with them (merge_settle.h)
 *   branch, dropping  files of a checkpoint that the guest has left, which go (branch_settle.h)
 *   forgotten    of both: libvirt knows the checkpoint no more
 *   delete, deleting  a checkpoint inside its disks that goes (internal_delete.h)
 *   abandoned    {name, id}: a checkpoint that could not be removed, of a command that is settled
 */
#pragma once

#include "common/error.h"
#include "domain/session.h"

/*
 * Brings the guest back as it was, ends a backup job and removes its files. Then either puts the
 * images in place, where they were complete, or removes them and the checkpoint. To be called again
 * after a failure; an empty record is nothing to do. A checkpoint that only a running domain lets
 * go of is no failure: the record keeps it, and nothing else, for the next time.
 */
int leftover_undo(struct session *session, struct error *err);

/* The same for a command that died before; errors tell so, and where it is written down. */
int leftover_undo_earlier(struct session *session, struct error *err);
