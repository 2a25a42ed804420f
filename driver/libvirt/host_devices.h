/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host devices of a guest (PCI, SR-IOV, vGPU) around a managed save: libvirt cannot save them, so
 * they are unplugged before and plugged in again after. Not shared between threads.
 */
#pragma once

#include <jansson.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"
#include "driver/definition/domain_description.h"
#include "driver/libvirt/domain_watch.h"

struct host_devices {
    struct domain_description *description; /* owned: the devices as they were */
    size_t asked_count;                     /* so many of them were asked to go */
};

/* Reads which ones the domain has. */
int host_devices_read(struct host_devices *devices, virDomainPtr domain, struct error *err);

/*
 * Unplugs every host device that was read, one after the other, and sees each gone: unplugging
 * needs the guest's help, which is waited for by event, `timeout_ms` each. PciDeviceDetachFailed
 * when a device stays.
 */
int host_devices_detach(struct host_devices *devices, virDomainPtr domain,
                        struct domain_watch *watch, unsigned timeout_ms, struct error *err);

/*
 * Plugs in again what is missing of them. Goes on after a failure, which is told, and may be
 * called again then. A mediated device that the host no longer has is left out, as nova does.
 */
int host_devices_attach(struct host_devices *devices, virDomainPtr domain, struct error *err);

/* The devices that were read as an array; NULL when out of memory. Returns owned. */
json_t *host_devices_to_json(const struct host_devices *devices);

/* The other way round, as if all of them had been asked to go. EINVAL for another array. */
int host_devices_from_json(struct host_devices *devices, const json_t *array, struct error *err);

/* Frees what was read. */
void host_devices_done(struct host_devices *devices);
