/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers that were made and that no guest has written to since: as long as they are untouched a
 * memory of their instant fits, and they hold nothing. On one thread.
 *
 * Note of the record: layers [{path, dev, ino, size_bytes, mtime_ns}], of each place once. Each
 * write changes the time, or the size as well, which a host that loses its power keeps.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "domain/checkpoint_plan.h"
#include "domain/session.h"

/* Notes the disks' overlays as they are now: they are empty, and no guest runs on them. */
int revert_layers_note(const struct session *session, const struct checkpoint_disk *disks,
                       size_t disk_count, struct error *err);

/* Whether the file is as it was noted; false where it is in no note, or cannot be looked at. */
bool revert_layers_is_untouched(const struct session *session, const char *path);
