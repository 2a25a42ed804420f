/* SPDX-License-Identifier: Apache-2.0 */
/* Sends notifications. */
#pragma once

#include "amqp/bus.h"
#include "amqp/notification.h"

/*
 * Emits a notification to the topics of its kind through every configured driver; with no driver
 * nothing is sent and 0 is returned. Takes its payload, also on failure. Waits for the confirms, at
 * most rpc_response_timeout for a driver, seconds for a queue whose node is away, and until the
 * calling thread is cancelled; the first failure is returned, the other topics are still served.
 * Not from the bus thread.
 */
int notifier_notify(struct bus *bus, const struct notification *notification, struct error *err);
