/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers that were made and that no guest has written to since: as long as they are untouched a
 * memory of their instant fits, and they hold nothing. On one thread.
 *
 * Note of the record: layers [{path, dev, ino, size_bytes, mtime_ns, folder: file_folder.h}], of
 * each place once. Each write changes the time, or the size as well, which a host that loses its
 * power keeps.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "domain/checkpoint_plan.h"
#include "domain/session.h"

enum revert_layers {
    REVERT_LAYERS_UNTOUCHED,
    REVERT_LAYERS_GONE,    /* one has, from the folder it was in; none was written to */
    REVERT_LAYERS_WRITTEN, /* one was, or another file is in its place, or it is in no note */
};

/* Notes the disks' overlays as they are now: they are empty, and no guest runs on them. */
int revert_layers_note(const struct session *session, const struct checkpoint_disk *disks,
                       size_t disk_count, struct error *err);

/*
 * What became of the overlays of `disks`, [{overlay}]. An error where nobody can tell: one cannot
 * be looked at, or its storage is not mounted.
 */
int revert_layers_look(const struct session *session, const json_t *disks,
                       enum revert_layers *ret_layers, struct error *err);

/*
 * Removes those of `disks`, [{base, overlay}], that are empty, and nobody's where the domain is not
 * there. Where they `are_noted`, an untouched one alone is.
 */
int revert_layers_remove(const struct session *session, const json_t *disks, bool are_noted,
                         struct error *err);
