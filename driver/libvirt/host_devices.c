/* SPDX-License-Identifier: Apache-2.0 */
/* See host_devices.h. */
#include "driver/libvirt/host_devices.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "common/cancel.h"
#include "common/json.h"
#include "common/log.h"
#include "driver/journal.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain.h"

/* Whether the device is in the live definition now. */
static int is_attached(virDomainPtr domain, const struct domain_device *device, bool *ret_attached,
                       struct error *err)
{
    struct domain_description *description = NULL;
    int r = libvirt_domain_describe(domain, &description, err);
    if (r < 0)
        return r;
    *ret_attached = domain_description_has_device(description, device);
    domain_description_free(description);
    return 0;
}

/* libvirt's call returns after some seconds whether the guest has let go or not. */
static int await_removal(virDomainPtr domain, const struct domain_device *device,
                         struct domain_watch *watch, unsigned timeout_ms, struct error *err)
{
    struct domain_news news = DOMAIN_NEWS_INIT;
    for (;;) {
        bool attached = false;
        bool heard = domain_watch_wait(watch, 0, &news);
        int r = is_attached(domain, device, &attached, err);
        if (r < 0 || !attached)
            return r;
        if (!heard && !domain_watch_wait(watch, timeout_ms, &news))
            return cancel_check(err) < 0
                       ? -ECANCELED
                       : error_set(err, ETIMEDOUT, EXC_PCI_DEVICE_DETACH_FAILED,
                                   "Failed to detach PCI device %s: timeout", device->id);
    }
}

int host_devices_read(struct host_devices *devices, virDomainPtr domain, struct error *err)
{
    return libvirt_domain_describe(domain, &devices->description, err);
}

int host_devices_detach(struct host_devices *devices, virDomainPtr domain,
                        struct domain_watch *watch, unsigned timeout_ms, struct error *err)
{
    for (size_t i = 0; i < devices->description->device_count; i++) {
        const struct domain_device *device = &devices->description->devices[i];
        devices->asked_count = i + 1;
        log_debug("detaches host device %s", device->id);
        if (virDomainDetachDeviceFlags(domain, device->xml, VIR_DOMAIN_AFFECT_LIVE) < 0)
            return libvirt_error(err, "cannot detach host device %s", device->id);
        int r = await_removal(domain, device, watch, timeout_ms, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int attach_one(virDomainPtr domain, const struct domain_device *device, struct error *err)
{
    bool attached = false;
    int r = is_attached(domain, device, &attached, err);
    if (r < 0 || attached)
        return r;
    if (virDomainAttachDeviceFlags(domain, device->xml, VIR_DOMAIN_AFFECT_LIVE) == 0) {
        log_debug("host device %s is attached again", device->id);
        return 0;
    }
    if (device->kind == DOMAIN_DEVICE_MDEV && virGetLastErrorCode() == VIR_ERR_DEVICE_MISSING) {
        log_debug("mediated device %s is gone from the host, the guest goes on without it",
                  device->id);
        return 0;
    }
    return libvirt_error(err, "cannot attach host device %s again", device->id);
}

int host_devices_attach(struct host_devices *devices, virDomainPtr domain, struct error *err)
{
    struct error first = ERROR_INIT;
    for (size_t i = 0; i < devices->asked_count; i++) {
        struct error failure = ERROR_INIT;
        if (attach_one(domain, &devices->description->devices[i], &failure) < 0)
            error_join(&first, &failure);
    }
    if (first.errnum == 0)
        return 0;
    *err = first;
    return -first.errnum;
}

json_t *host_devices_to_json(const struct host_devices *devices)
{
    const struct domain_description *description = devices->description;
    json_t *array = json_array();
    for (size_t i = 0; array && description && i < description->device_count; i++) {
        const struct domain_device *device = &description->devices[i];
        json_t *object = json_pack("{s:i, s:s, s:s}", "kind", (int)device->kind, "id", device->id,
                                   "xml", device->xml);
        if (json_array_append_new(array, object) == 0)
            continue;
        json_decref(array);
        return NULL;
    }
    return array;
}

static int read_device(const json_t *object, struct domain_device *device, struct error *err)
{
    const json_t *number = json_object_get(object, "kind");
    json_int_t kind = json_integer_value(number);
    const char *id = json_string_member(object, "id");
    const char *xml = json_string_member(object, "xml");
    if (!json_is_integer(number) || kind < DOMAIN_DEVICE_PCI || kind > DOMAIN_DEVICE_INTERFACE ||
        !id || !xml)
        return driver_entry_bad(err, "has a host device without its kind, id or definition");
    device->kind = (enum domain_device_kind)kind;
    device->id = strdup(id);
    device->xml = strdup(xml);
    return device->id && device->xml ? 0 : error_nomem(err);
}

int host_devices_from_json(struct host_devices *devices, const json_t *array, struct error *err)
{
    if (!json_is_array(array))
        return driver_entry_bad(err, "does not list the host devices");
    size_t count = json_array_size(array);
    struct domain_description *description = calloc(1, sizeof(*description));
    devices->description = description;
    if (description)
        description->devices = calloc(count + 1, sizeof(*description->devices));
    if (!description || !description->devices)
        return error_nomem(err);
    for (size_t i = 0; i < count; i++) {
        description->device_count = i + 1;
        int r = read_device(json_array_get(array, i), &description->devices[i], err);
        if (r < 0)
            return r;
    }
    devices->asked_count = count;
    return 0;
}

void host_devices_done(struct host_devices *devices)
{
    domain_description_free(devices->description);
    devices->description = NULL;
}
