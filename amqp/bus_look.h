/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker shows of compute.<host>, for people who ask. */
#pragma once

#include "amqp/bus.h"

struct bus_look {
    unsigned consumers; /* besides us */
    unsigned ready;     /* requests that nobody has been given */
};

/*
 * Asks the broker. ENOTCONN, telling why, while it is not connected. Any thread but the bus's; it
 * waits for the bus thread.
 */
int bus_look(struct bus *bus, struct bus_look *ret_look, struct error *err);
