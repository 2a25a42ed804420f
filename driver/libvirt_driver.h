/* SPDX-License-Identifier: Apache-2.0 */
/* The libvirt driver: see driver.h for what it does, nova.virt.libvirt for where it comes from. */
#pragma once

#include "driver/ceph/rbd_options.h"
#include "driver/driver.h"

/* All strings are copied. */
struct libvirt_driver_options {
    const char *connection_uri;          /* "" = by virt_type, as nova's _uri() */
    const char *virt_type;               /* kvm, qemu, lxc, parallels */
    const char *snapshots_directory;     /* made with its parents when missing */
    const char *staging_mark;            /* as staging_new(); NULL: none */
    const char *instances_path;          /* backing files are expected below it */
    unsigned stall_timeout_s;            /* a block job or qemu-img without progress is given up */
    unsigned freeze_timeout_s;           /* the guest agent's time to answer a freeze */
    uint64_t scratch_reserve_bytes;      /* what stays free where snapshots are written */
    unsigned images_cpu_limit_s;         /* of qemu-img when it looks at an image; 0 = no limit */
    uint64_t images_address_space_bytes; /* the same */
    uint64_t disk_bytes_per_s;           /* at which a copy is made; 0 = no limit */
    bool deep_image_inspection;          /* not [workarounds]disable_deep_image_inspection */
    struct rbd_options rbd;
};

/*
 * Starts the libvirt event loop thread and connects lazily, reconnecting when libvirtd comes back.
 * Returns owned.
 */
int libvirt_driver_new(const struct libvirt_driver_options *options, struct driver **ret_driver,
                       struct error *err);
