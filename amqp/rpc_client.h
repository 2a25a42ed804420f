/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calling side of RPC: the reply queue and the calls that wait. Bus thread only.
 * Sources: oslo_messaging._drivers.amqpdriver (ReplyWaiter, _send).
 */
#pragma once

#include <stdint.h>

#include "amqp/bus_int.h"

struct rpc_client;

/* Borrows `bus`. NULL when out of memory. */
struct rpc_client *rpc_client_new(struct bus *bus);

/* Fails what waits. NULL-safe. */
void rpc_client_free(struct rpc_client *client);

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
