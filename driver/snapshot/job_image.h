/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image that is made, while it is read, of the disk a backup job shows (image_stream.h).
 *
 * The job is ended before its reader closes, whatever way that comes: a QEMU may not bear a reader
 * that goes away (disk_iothread.h). What fails of it is ended by live_undo().
 */
#pragma once

#include "common/error.h"
#include "common/image_source.h"
#include "driver/snapshot/live_snapshot.h"

/* Takes op->staging and op->space on success; their files stay for recover. Returns owned. */
int job_image_open(struct live_snapshot *op, struct image_source **ret_source, struct error *err);
