/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver reads out of a libvirt domain definition. Pure: no libvirt call, no file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "driver/definition/domain_disk.h"

/* A host device that libvirt cannot save with the guest's memory. */
enum domain_device_kind {
    DOMAIN_DEVICE_PCI,       /* <hostdev type='pci'>: flavor alias, direct-physical port */
    DOMAIN_DEVICE_MDEV,      /* <hostdev type='mdev'>: vGPU */
    DOMAIN_DEVICE_INTERFACE, /* <interface type='hostdev'> or 'vdpa': direct port */
};

struct domain_device {
    enum domain_device_kind kind;
    char *id;  /* what tells it from its like: PCI address, mdev uuid or vDPA device of the host */
    char *xml; /* the element, good for virDomainDetachDeviceFlags and virDomainAttachDevice */
};

struct domain_description {
    struct domain_disk *disks; /* in libvirt's order, which is no order of Nova's */
    size_t disk_count;
    struct domain_device *devices;
    size_t device_count;
};

/*
 * Reads `xml` (NUL-terminated, borrowed). InternalError (EINVAL) naming what is wrong when it is
 * no domain definition or too large. Returns owned.
 */
int domain_description_parse(const char *xml, struct domain_description **ret_description,
                             struct error *err);

/* NULL-safe. */
void domain_description_free(struct domain_description *description);

/* The disk with this target, borrowed; NULL when there is none. */
const struct domain_disk *domain_description_disk(const struct domain_description *description,
                                                  const char *target);

/* True when a device of this kind and id is in the description. */
bool domain_description_has_device(const struct domain_description *description,
                                   const struct domain_device *device);
