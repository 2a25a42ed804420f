/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New layers that a guest goes on in, and libvirt does not know of: it died between the switch of
 * the disks in QEMU and its own account of that. The next start would go on from the files below,
 * and lose all that was written since. On one thread.
 */
#pragma once

#include <jansson.h>
#include <libvirt/libvirt.h>

#include "common/error.h"
#include "domain/layer_map.h"

/*
 * That there is none among those of `disks`, an array of {target, base, overlay, folder: as
 * file_folder.h has it, of the overlay}: EBUSY telling
 * what to do with each that a QEMU writes to, or has written to, while the domain's definition,
 * that of its next start or that of now, has the disk elsewhere. What is empty, or has gone, or is
 * no layer on its base, nor qcow2 at all, is none; one that cannot be read, or whose storage is not
 * mounted, is an error.
 */
int unnamed_layer_check(virDomainPtr domain, const struct layer_map *map, const json_t *disks,
                        struct error *err);
