/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images of one backup job of a running domain: of several disks at one instant, with a checkpoint
 * at that instant, or of what was written since an earlier checkpoint.
 */
#pragma once

#include "common/error.h"
#include "domain/image_report.h"
#include "domain/image_request.h"
#include "domain/session.h"
#include "domain/source_disk.h"

/*
 * Fills the report's files, one of each disk. EINVAL when a disk cannot take part; ENOENT when
 * there is no such checkpoint, or the image of its instant has gone. The guest is back when it
 * returns, or leftover_undo() brings it back; a checkpoint that was made stays until then.
 */
int backup_set_make(struct session *session, const struct image_request *request,
                    const struct source_disks *disks, struct image_report *report,
                    struct error *err);
