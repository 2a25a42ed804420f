/* SPDX-License-Identifier: Apache-2.0 */
/* One <disk> of a domain definition. Pure: no libvirt call, no file. */
#pragma once

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "driver/driver.h"

/* A root disk may have so many; each costs a look into its header. */
#define DISK_LAYERS_MAX 32

struct disk_layer {
    char *path; /* owned; "rbd:pool/name" for RBD; "" = neither that nor a file or device */
    char format[DRIVER_FORMAT_MAX];
    bool encrypted; /* by QEMU or librbd: the guest sees it in the clear */
};

struct domain_disk {
    char target[DRIVER_FORMAT_MAX]; /* vda */
    struct disk_layer *layers;      /* owned; the first is the one the guest writes to */
    size_t layer_count;             /* at least 1 */
    bool chain_known;               /* the last layer is the end: libvirt knows of active guests,
                                       and else at most of what it has added itself */
    bool is_hard_disk;              /* no CD, no floppy */
    bool has_mirror;                /* <mirror>: a block copy on this disk */
    char *mirror_path;              /* owned; "" when it is no file or device */
    const char *problem;            /* what is wrong with the element; NULL = nothing */
};

/*
 * Reads a <disk>. Fails only for want of memory: what cannot be understood is a problem of this
 * disk alone. Free with domain_disk_done(), also after a failure.
 */
int domain_disk_read(const xmlNode *element, struct domain_disk *ret_disk, struct error *err);

/* Frees what is in it. */
void domain_disk_done(struct domain_disk *disk);
