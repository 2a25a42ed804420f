/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to the calls this bus serves, and the heartbeats of monitored ones. Bus thread only.
 * Source: oslo_messaging._drivers.amqpdriver.AMQPIncomingMessage, rpc/dispatcher.py:_watchdog.
 */
#pragma once

#include <stdint.h>

#include "amqp/bus_int.h"

struct replies;

/* Borrows `bus`. NULL when out of memory. */
struct replies *replies_new(struct bus *bus);

/* NULL-safe. Before the publisher is freed nothing may be on its way: publisher_free() first. */
void replies_free(struct replies *replies);

/*
 * Answers without anybody waiting: with `failure`, or with `result` (taken). Does nothing for a
 * cast. Trouble is logged.
 */
void replies_send(struct replies *replies, const struct rpc_request *request, json_t *result,
                  const struct error *failure);

/* Starts the heartbeats of a monitored call; they end with its answer, or here. */
void replies_monitor(struct replies *replies, const struct rpc_request *request);
void replies_stop_monitoring(struct replies *replies, const char *msg_id);

/* Sends heartbeats that are due. */
void replies_run(struct replies *replies, uint64_t now_ms);

uint64_t replies_next_ms(const struct replies *replies);
