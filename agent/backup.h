/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a backup of a snapshot: its type and how many are kept (backup_instance). */
#pragma once

#include "agent/operation.h"

/* Reads backup_type and rotation of the RPC. EINVAL naming what is wrong. Borrows. */
int backup_arguments_parse(const json_t *args, struct snapshot_arguments *arguments,
                           struct error *err);

/*
 * Deletes the oldest backups of this instance and type beyond `rotation`, the one just made
 * included. Only active images that belong to the instance's project, or to the one that asks,
 * count. Fails when they cannot be listed; an image that cannot be deleted is logged and stays, as
 * nova's _rotate_backups does.
 */
int backup_rotate(struct operation *op, struct error *err);
