/* What the driver reads out of a libvirt domain definition. Pure: no libvirt call, no file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "driver/driver.h"

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

/* One layer below the root disk's own file. */
struct domain_backing {
    char path[DRIVER_PATH_MAX];
    char format[DRIVER_FORMAT_MAX];
};

struct domain_description {
    /* The FIRST <disk>, as nova's find_disk has it. */
    enum disk_source_type source_type;
    char disk_path[DRIVER_PATH_MAX]; /* "rbd:pool/name" for RBD */
    char disk_target[DRIVER_FORMAT_MAX];
    char disk_format[DRIVER_FORMAT_MAX];
    /* <backingStore>: libvirt writes it for active guests; elsewhere it is not known. */
    bool backing_known;
    bool has_backing;
    struct domain_backing backing; /* the first layer below */
    /* <mirror>: a block copy on this disk. */
    bool has_mirror;
    char mirror_path[DRIVER_PATH_MAX]; /* "" when it is no file or device */

    struct domain_device *devices;
    size_t device_count;
};

/*
 * Reads `xml` (NUL-terminated, borrowed). InternalError (EINVAL) naming what is wrong when it is
 * no domain definition, too large, or names no root disk path. Returns owned.
 */
int domain_xml_parse(const char *xml, struct domain_description **ret_description,
                     struct error *err);

/* NULL-safe. */
void domain_description_free(struct domain_description *description);

/* True when a device of this kind and id is in the description. */
bool domain_description_has_device(const struct domain_description *description,
                                   const struct domain_device *device);
