/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a save ends, also that of a command that has died: the guest runs, or it is saved. On one
 * thread.
 *
 * Notes of the record:
 *   save      {is_managed, is_running, run, name, stopped_ms, layers, disks, memory}: a save is
 *             about to begin of that run (domain_run.h); `layers` as they were then, of
 *             disk_fingerprint.h; `disks` and `memory` are notes of image_settle.h, the second
 *             not of one that libvirt keeps
 *   looked    the memory is whole; the layers with their fingerprints, which go into the file of
 *             the disks, now or when there is room for it
 *   saved     the memory is whole, and the file of the disks is written
 */
#pragma once

#include "common/error.h"
#include "domain/image_file.h"
#include "domain/session.h"

/*
 * The memory is whole: takes the fingerprints of the disks, notes them, writes them into their
 * file, and notes "saved". ECANCELED while it reads for a digest.
 */
int save_settle_keep(struct session *session, bool digest, const struct image_observer *observer,
                     struct error *err);

/*
 * Brings to its end what the record tells of; nothing is nothing to do. A guest that is not saved
 * after all runs again, and what there is of its memory goes; one that is not known to be that
 * guest is left as it is, and a whole memory stays. One that is saved stays so: its files
 * get their names. What was left at an earlier time has the fingerprints that were noted, else only
 * where no disk has been written to since. EBUSY when nobody can tell what libvirt is at. Then a
 * restore (restore_settle.h). To be called again after a failure.
 */
int save_settle(struct session *session, struct error *err);
