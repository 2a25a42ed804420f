/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which clusters of a disk hold data: one bit a cluster, so that a disk of terabytes takes
 * megabytes. Pure. Not shared between threads while it is filled.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

#define EXTENT_CLUSTER_BITS 16 /* 64 KiB, qcow2's default */
#define EXTENT_CLUSTER_BYTES (UINT64_C(1) << EXTENT_CLUSTER_BITS)

/* No disk is larger: 32 TiB, whose map takes 64 MiB. */
#define EXTENT_MAP_MAX_BYTES (UINT64_C(1) << 45)

struct extent_map;

/* A map of a disk without data. EFBIG when it is larger than EXTENT_MAP_MAX_BYTES. Returns owned.
 */
int extent_map_new(uint64_t disk_bytes, struct extent_map **ret_map, struct error *err);

/* NULL-safe. */
void extent_map_free(struct extent_map *map);

/* Every cluster that one of these bytes is in has data. What is beyond the disk's end is ignored.
 */
void extent_map_add(struct extent_map *map, uint64_t offset, uint64_t length);

/* The clusters with data in `other`, a map of the same disk: have data here too, or no longer. */
void extent_map_unite(struct extent_map *map, const struct extent_map *other);
void extent_map_subtract(struct extent_map *map, const struct extent_map *other);

uint64_t extent_map_disk_bytes(const struct extent_map *map);

/* Clusters of the disk, and those of them with data. The last one may reach beyond its end. */
uint64_t extent_map_clusters(const struct extent_map *map);
uint64_t extent_map_data_clusters(const struct extent_map *map);

bool extent_map_has_data(const struct extent_map *map, uint64_t cluster);

/*
 * The next cluster from `from` on that has data or, with `data` false, has none; the number of
 * clusters of the disk when there is none.
 */
uint64_t extent_map_next(const struct extent_map *map, uint64_t from, bool data);
