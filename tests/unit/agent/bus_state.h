/* SPDX-License-Identifier: Apache-2.0 */
/* A bus that is connected, attached and drained, its queue given out, or not, as the test says. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "amqp/bus.h"

static struct {
    atomic_bool connected, attached, drained, given_out;
} bus_state;

void __wrap_bus_broker(struct bus *bus, char ret_broker[static BUS_BROKER_MAX]);
void __wrap_bus_broker(struct bus *bus, char ret_broker[static BUS_BROKER_MAX])
{
    (void)bus;
    (void)strcpy(ret_broker, bus_state.connected ? "rabbit1:5672" : "");
}

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

bool __wrap_bus_queue_is_given_out(struct bus *bus);
bool __wrap_bus_queue_is_given_out(struct bus *bus)
{
    (void)bus;
    return bus_state.given_out;
}

bool __wrap_bus_stands_aside(struct bus *bus, enum bus_aside reason);
bool __wrap_bus_stands_aside(struct bus *bus, enum bus_aside reason)
{
    (void)bus;
    return reason == BUS_ASIDE_DRAINED && bus_state.drained;
}
