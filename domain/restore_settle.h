/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a restore ends, also that of a command that has died. On one thread.
 *
 * Notes of the record:
 *   restore   {is_managed, disks, is_checked, is_to_run}: a guest is about to be started from its
 *             memory; `disks` is the path of its record, "" when it has none; the disks were found
 *             to be those of the record; the guest is to run then, as far as that is known
 *   refused   in nanoseconds of the epoch: libvirt had failed to start it by then
 */
#pragma once

#include "common/error.h"
#include "domain/session.h"

/* Notes that libvirt has failed just now; not where the connection was lost: what it does to the
 * disks is yet to come then. */
void restore_settle_refused(struct session *session);

/* Lets a guest run that was woken of its memory, and that nobody has let run or paused since. An
 * error also while libvirt loads that. */
int restore_settle_resume(struct session *session, struct error *err);

/*
 * A guest that runs has used its memory: what libvirt kept has no record any more, that of a file
 * tells of it; it is let run where that was wished. Tells session->outcome. Waits for what a dead
 * command, or a lost connection, has asked libvirt for. Of one that was not started the disks are
 * as they were, but that libvirt has given them to QEMU and back: their times of change until then
 * become those of the record. To be called again after a failure; nothing to do when none is noted.
 */
int restore_settle(struct session *session, struct error *err);
