/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block device mappings as a volume-backed image holds them: pure functions on JSON.
 * Source: nova.block_device:snapshot_from_bdm, BlockDeviceDict.get_image_mapping.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"

/* True for a mapping that is a device of the instance: no_device is not set. */
bool block_device_is_present(const json_t *mapping);

/* Its volume; NULL when it is not one. Borrowed. */
const char *block_device_volume_id(const json_t *mapping);

/*
 * Refuses mappings (an array of nova_object.data of BlockDeviceMapping) this agent does not
 * understand: no object, no source_type, a volume whose id is no UUID, too many of them.
 */
int block_devices_check(const json_t *mappings, struct error *err);

/* The mapping that restores the volume of `mapping` from a snapshot. Owned, NULL without memory. */
json_t *block_device_from_snapshot(const char *snapshot_id, const json_t *mapping);

/* The mapping of a device that is not snapshotted, without what is this instance's alone. Owned. */
json_t *block_device_for_image(const json_t *mapping);
