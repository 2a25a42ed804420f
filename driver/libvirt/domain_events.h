/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt's events of a connection, brought to the watches of its domains (domain_watch.h). */
#pragma once

#include <libvirt/libvirt.h>

#include "driver/libvirt/domain_watch.h"

#define DOMAIN_EVENTS 3

/* The callbacks of one connection: each holds a reference to it. */
struct domain_events {
    int ids[DOMAIN_EVENTS];
};

/*
 * From now on the event loop thread tells `watches` (borrowed) what becomes of the domains. -1:
 * libvirt says why, and nothing is registered.
 */
int domain_events_register(virConnectPtr conn, struct domain_watches *watches,
                           struct domain_events *ret_events);

/* Also of a connection that is lost. One callback may still be under way in the event loop. */
void domain_events_deregister(virConnectPtr conn, const struct domain_events *events);
