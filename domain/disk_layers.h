/* SPDX-License-Identifier: Apache-2.0 */
/* The files and devices that a guest's disks are kept in. Pure but for a look at each. */
#pragma once

#include <jansson.h>

#include "common/error.h"

/*
 * All layers of the disks that have a medium, and the firmware's variables as a disk "nvram", as a
 * domain's live definition (NUL-terminated, borrowed) names them: an array of {disk, path, is_top,
 * is_device}. EINVAL naming a disk that is neither a file nor a device, or that others write to as
 * well (<shareable/>). Returned owned.
 */
int disk_layers_list(const char *xml, json_t **ret_layers, struct error *err);

/* The name of the first that is a device, borrowed; NULL: all are files. */
const char *disk_layers_device(const json_t *layers);

/*
 * Whether each disk's top layer in `layers` is one in `known` as well: EINVAL naming one that is
 * not.
 */
int disk_layers_check_known(const json_t *layers, const json_t *known, struct error *err);
