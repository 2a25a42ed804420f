/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image of a server that was booted from a volume: one Cinder snapshot per volume, and an image
 * in Glance that says how to boot from them. Source: nova.compute.api:snapshot_volume_backed.
 */
#pragma once

#include "agent/operation.h"

/*
 * Makes it. The guest is frozen while Cinder takes the snapshots, when its image properties ask for
 * it, and no longer than freeze_deadline. All or nothing: on failure no snapshot is left.
 */
int volume_backed_image_make(struct operation *op, struct error *err);

/*
 * Deletes the snapshots that were made, or may have been, for an image that will not be. Fails when
 * some are left: to be called again.
 */
int volume_backed_undo(struct operation *op, struct error *err);
