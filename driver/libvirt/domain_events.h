/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt's events of a connection, brought to the watches of its domains (domain_watch.h). */
#pragma once

#include <libvirt/libvirt.h>

#include "driver/libvirt/domain_watch.h"

/*
 * From now on the event loop thread tells `watches` (borrowed) what becomes of the domains, and
 * that the connection is lost. -1: libvirt says why.
 */
int domain_events_register(virConnectPtr conn, struct domain_watches *watches);

/* Before the connection is closed. The other callbacks end with its last reference. */
void domain_events_unregister(virConnectPtr conn);
