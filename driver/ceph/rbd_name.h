/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of RBD images as libvirt and QEMU spell them. Pure functions.
 *
 * Pool, image and snapshot names are taken only when they consist of ASCII letters, digits and
 * "-_.", which nova, Cinder and Glance give them: nothing in them means anything to QEMU's rbd:
 * syntax or in a URL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "driver/ceph/rbd_options.h"

#define RBD_NAME_MAX 256

struct rbd_name {
    char pool[RBD_NAME_MAX];
    char image[RBD_NAME_MAX];
};

/* True for a name as above. */
bool rbd_name_is_plain(const char *text);

/* Copies `length` bytes of `text` when they are a plain name; false when they are none. */
bool rbd_name_copy(const char *text, size_t length, char ret_name[static RBD_NAME_MAX]);

/* Reads "rbd:POOL/IMAGE", as domain_description has it. InvalidDiskInfo. */
int rbd_name_parse(const char *disk_path, struct rbd_name *ret_name, struct error *err);

/*
 * "rbd:POOL/IMAGE[:id=USER][:conf=FILE]" for QEMU (block/rbd.c: qemu_rbd_parse_filename), which
 * takes an '@' anywhere for a snapshot's: InvalidDiskInfo when user or file have one, or when the
 * result does not fit.
 */
int rbd_name_for_qemu(const char *disk_path, const struct rbd_options *options, char *ret_path,
                      size_t size, struct error *err);
