/* SPDX-License-Identifier: Apache-2.0 */
/* A bus that is attached, or not, as the test says. */
#pragma once

#include <stdbool.h>

#include "amqp/bus.h"

static struct {
    bool connected, attached;
} bus_state;

bool __wrap_bus_connected(struct bus *bus);
bool __wrap_bus_connected(struct bus *bus)
{
    (void)bus;
    return bus_state.connected;
}

bool __wrap_bus_attached(struct bus *bus);
bool __wrap_bus_attached(struct bus *bus)
{
    (void)bus;
    return bus_state.attached;
}
