/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to the calls this bus serves, and the heartbeats of monitored ones. Bus thread only, but
 * for replies_answer(). Source: oslo_messaging._drivers.amqpdriver.AMQPIncomingMessage.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "amqp/bus_settings.h"
#include "amqp/bus_work.h"
#include "amqp/publisher.h"
#include "amqp/rpc_request.h"

struct replies;

/* Borrows both. NULL when out of memory. */
struct replies *replies_new(const struct bus_settings *settings, struct publisher *publisher);

/* NULL-safe. Before the publisher is freed nothing may be on its way: publisher_free() first. */
void replies_free(struct replies *replies);

/*
 * Answers without anybody waiting: with `failure`, or with `result` (taken). Does nothing for a
 * cast. Trouble is logged.
 */
void replies_send(struct replies *replies, const struct rpc_request *request, json_t *result,
                  const struct error *failure);

/*
 * The same, for another thread that waits until the answer is confirmed. ENOENT: the caller's reply
 * queue is gone.
 */
int replies_answer(struct replies *replies, struct bus_work_queue *works,
                   const struct rpc_request *request, json_t *result, const struct error *failure,
                   struct error *err);

/* Starts the heartbeats of a monitored call; they end with its answer, or here. */
void replies_monitor(struct replies *replies, const struct rpc_request *request);
void replies_stop_monitoring(struct replies *replies, const char *msg_id);

/* Sends heartbeats that are due. */
void replies_run(struct replies *replies, uint64_t now_ms);

uint64_t replies_next_ms(const struct replies *replies);
