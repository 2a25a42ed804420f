/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the data a disk is said to have is nothing but zeroes: allocated and never written, or
 * written with zeroes. Only reading all of it would tell, which most disks are not worth: a sample
 * tells whether there are enough zeroes, and where. The same disk gives the same answer.
 */
#pragma once

#include "common/error.h"
#include "driver/image/extent_map.h"

/* Reads the chosen clusters, adds to `found` those that are not all zero. */
typedef int zero_search_read(void *arg, const struct extent_map *chosen, struct extent_map *found,
                             struct error *err);

/*
 * Takes clusters that are zero out of the map: all but about 1 % of the data that stays. A disk
 * without them costs 512 reads whatever its size. On failure, which is that of `read`, the map is
 * of no more use.
 */
int zero_search(struct extent_map *map, zero_search_read *read, void *arg, struct error *err);
