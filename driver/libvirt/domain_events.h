/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt's events of a connection, brought to the watches of its domains (domain_watch.h). */
#pragma once

#include <libvirt/libvirt.h>

#include "driver/libvirt/domain_watch.h"

/*
 * From now on, until the last reference to the connection is gone, the event loop thread tells
 * `watches` (borrowed) what becomes of the domains. -1: libvirt says why.
 */
int domain_events_register(virConnectPtr conn, struct domain_watches *watches);
