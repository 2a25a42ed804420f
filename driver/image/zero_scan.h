/* SPDX-License-Identifier: Apache-2.0 */
/* Reads clusters of a disk over NBD and tells which of them are not all zero. */
#pragma once

#include "common/error.h"
#include "common/throttle.h"
#include "driver/image/extent_map.h"
#include "driver/image/nbd_client.h"

/*
 * Adds to `found` those of the chosen clusters that hold anything but zeroes. Borrows all of it;
 * `throttle` limits the reading, NULL for none. Fails as nbd_reader.h does.
 */
int zero_scan(struct nbd_client *client, const struct extent_map *chosen, struct throttle *throttle,
              struct extent_map *found, struct error *err);
