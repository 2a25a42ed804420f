/* SPDX-License-Identifier: Apache-2.0 */
/* What layer_map_*.c share: how a map is filled. See layer_map.h. */
#pragma once

#include <libxml/tree.h>
#include <stddef.h>

#include "common/error.h"
#include "domain/layer_map.h"

/* Reads all headers that were not read yet, and of what they name. */
int layer_map_follow(struct layer_map *map, struct error *err);

/* A file is in the map once. */
int layer_map_add_file(struct layer_map *map, const char *path, const char *format,
                       size_t *ret_file, struct error *err);

/* ENAMETOOLONG with InvalidDiskInfo. */
int layer_map_too_long(const struct layer_name *name, struct error *err);

/* Copies `name` but for its file, which is that at `path`; one without a path is passed over, and
 * one that is too long refused. */
int layer_map_add_name(struct layer_map *map, const struct layer_name *name, const char *path,
                       const char *format, struct error *err);

/* All <disk>s of a <domain>. */
int layer_map_add_disks(struct layer_map *map, const struct layer_name *name, const xmlNode *domain,
                        struct error *err);

/*
 * Those of the memory that libvirt keeps of the domain, if it does. One that it cannot read is told
 * in the log, and an error where the domain is the session's own.
 */
int layer_map_add_saved(struct layer_map *map, const struct layer_name *of_domain,
                        virDomainPtr domain, struct error *err);
