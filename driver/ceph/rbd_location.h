/* SPDX-License-Identifier: Apache-2.0 */
/* Where an RBD snapshot is, as Glance's rbd store spells it. Pure functions. */
#pragma once

#include "common/error.h"
#include "driver/ceph/rbd_name.h"

/* rbd://FSID/POOL/IMAGE/SNAP, each part percent-encoded; all four are plain names (rbd_name.h). */
struct rbd_location {
    char fsid[RBD_NAME_MAX];
    char pool[RBD_NAME_MAX];
    char image[RBD_NAME_MAX];
    char snap[RBD_NAME_MAX];
};

/* Reads one, as nova's RBDDriver.parse_url. ImageUnacceptable when it is none. */
int rbd_location_parse(const char *location, struct rbd_location *ret_location, struct error *err);

/* The location as text, returned owned; NULL when out of memory. */
char *rbd_location_format(const struct rbd_location *location);
