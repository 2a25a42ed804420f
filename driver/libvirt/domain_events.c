/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_events.h. The callbacks only hand over: libvirt's event loop must not wait. */
#include "driver/libvirt/domain_events.h"

#include <stddef.h>

#include "common/log.h"

static void on_block_job(virConnectPtr conn, virDomainPtr domain, const char *disk, int type,
                         int status, void *opaque)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    (void)conn;
    if (virDomainGetUUIDString(domain, uuid) < 0)
        return;
    log_debug("libvirt event: instance %s, disk %s, block job of type %d has status %d", uuid, disk,
              type, status);
    domain_watches_block_job(opaque, uuid, disk, status);
}

static int on_lifecycle(virConnectPtr conn, virDomainPtr domain, int event, int detail,
                        void *opaque)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    (void)conn;
    if (virDomainGetUUIDString(domain, uuid) < 0)
        return 0;
    log_debug("libvirt event: instance %s, lifecycle %d (detail %d)", uuid, event, detail);
    if (event == VIR_DOMAIN_EVENT_STOPPED)
        domain_watches_stopped(opaque, uuid);
    else if (event == VIR_DOMAIN_EVENT_RESUMED)
        domain_watches_resumed(opaque, uuid);
    else if (event == VIR_DOMAIN_EVENT_STARTED)
        domain_watches_started(opaque, uuid);
    return 0;
}

static void on_device_removed(virConnectPtr conn, virDomainPtr domain, const char *alias,
                              void *opaque)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    (void)conn;
    if (virDomainGetUUIDString(domain, uuid) < 0)
        return;
    log_debug("libvirt event: instance %s, device %s was removed", uuid, alias);
    domain_watches_device_removed(opaque, uuid);
}

/* By way of the type that clang lets become any other; libvirt calls it as what it was. */
#define DOMAIN_EVENT(callback) VIR_DOMAIN_EVENT_CALLBACK((void (*)(void))(callback))

static void deregister_first(virConnectPtr conn, const int *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)virConnectDomainEventDeregisterAny(conn, ids[i]);
}

int domain_events_register(virConnectPtr conn, struct domain_watches *watches,
                           struct domain_events *ret_events)
{
    const struct {
        int event;
        virConnectDomainEventGenericCallback callback;
    } events[DOMAIN_EVENTS] = {
        {VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, DOMAIN_EVENT(on_block_job)},
        {VIR_DOMAIN_EVENT_ID_LIFECYCLE, DOMAIN_EVENT(on_lifecycle)},
        {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, DOMAIN_EVENT(on_device_removed)},
    };
    struct domain_events registered;
    for (size_t i = 0; i < DOMAIN_EVENTS; i++) {
        registered.ids[i] = virConnectDomainEventRegisterAny(conn, NULL, events[i].event,
                                                             events[i].callback, watches, NULL);
        if (registered.ids[i] < 0) {
            deregister_first(conn, registered.ids, i);
            return -1;
        }
    }
    *ret_events = registered;
    return 0;
}

void domain_events_deregister(virConnectPtr conn, const struct domain_events *events)
{
    deregister_first(conn, events->ids, DOMAIN_EVENTS);
}
