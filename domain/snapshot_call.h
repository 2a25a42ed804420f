/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virDomainSnapshotCreateXML, which waits for as long as the memory takes: it is aborted when the
 * command is interrupted, or when nothing more is written. On one thread, which it gives a helper.
 */
#pragma once

#include <libvirt/libvirt.h>

#include "common/error.h"

/*
 * ECANCELED with the reason after it was aborted, ETIMEDOUT when nothing was written for
 * `stall_timeout_s`; EIO with what libvirt says. libvirt aborts the writing of memory into a file
 * alone: all else comes to its end first.
 */
int snapshot_call(virDomainPtr domain, const char *xml, unsigned flags, unsigned stall_timeout_s,
                  struct error *err);
