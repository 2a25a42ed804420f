/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calling side of RPC: the reply queue and the calls that wait. Bus thread only, but for
 * rpc_client_call().
 * Sources: oslo_messaging._drivers.amqpdriver (ReplyWaiter, _send).
 */
#pragma once

#include <stdint.h>

#include "amqp/bus_settings.h"
#include "amqp/bus_work.h"
#include "amqp/connection.h"
#include "amqp/publisher.h"
#include "amqp/rpc_call.h"

struct rpc_client;

/* Borrows all; `consuming` is where replies come in. NULL when out of memory. */
struct rpc_client *rpc_client_new(const struct bus_settings *settings, struct connection *consuming,
                                  struct publisher *publisher);

/* Fails what waits. NULL-safe. */
void rpc_client_free(struct rpc_client *client);

/* Any other thread: rpc_call(). `client` is looked into by the bus thread only. */
int rpc_client_call(struct rpc_client *client, struct bus_work_queue *works,
                    const struct bus_settings *settings, const struct rpc_call *wanted,
                    json_t **ret_result, struct error *err);

/* The consuming connection is new: declares and consumes the reply queue. */
int rpc_client_up(struct rpc_client *client, struct error *err);
void rpc_client_down(struct rpc_client *client);

/* A message on REPLY_CHANNEL. */
void rpc_client_reply(struct rpc_client *client, const struct amqp_content *content);

/* The broker cancelled the consumer: the reply queue is gone. */
void rpc_client_cancelled(struct rpc_client *client);

/* Starts calls that can be sent, ends calls that are late. */
void rpc_client_run(struct rpc_client *client, uint64_t now_ms);

uint64_t rpc_client_next_ms(const struct rpc_client *client);
