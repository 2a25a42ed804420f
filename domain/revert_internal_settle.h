/* SPDX-License-Identifier: Apache-2.0 */
/* How a way back to an internal checkpoint ends. By the notes of revert_settle.h. On one thread. */
#pragma once

#include "common/error.h"
#include "domain/session.h"

/*
 * When libvirt does nothing any more, and the session's domain was looked up anew and is there:
 * EBUSY while the disks may be of different times, as libvirt has not told how far it came, and no
 * guest shows it.
 */
int revert_internal_settle(struct session *session, struct error *err);
