/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RPC, from both sides: calling somebody, and answering who called us. Any thread but the bus
 * thread; each function waits for the broker. Before bus_start() ENOTCONN, while the bus stops
 * ECANCELED.
 */
#pragma once

#include <jansson.h>

#include "amqp/bus.h"
#include "amqp/rpc_call.h"
#include "amqp/rpc_request.h"
#include "common/error.h"

/*
 * Calls and waits for the reply. Heartbeats of a long call are honoured. On success *ret_result is
 * the owned result (may be JSON null). A remote failure comes back with the remote's exc, module
 * and message; a missing answer with EXC_MESSAGING_TIMEOUT and ETIMEDOUT: the call may then still
 * have been executed.
 */
int rpc_call(struct bus *bus, const struct rpc_call *call, json_t **ret_result, struct error *err);

/* Answers a call; does nothing for a cast. Takes `result` (NULL = null). Waits for the confirm. */
int rpc_reply(struct bus *bus, const struct rpc_request *request, json_t *result,
              struct error *err);

/* Answers a call with a failure, in oslo's encoding; does nothing for a cast. */
int rpc_fail(struct bus *bus, const struct rpc_request *request, const struct error *failure,
             struct error *err);

/*
 * Gives a request that was acked, and of which nothing has been done, to nova-compute: the same
 * message, its _unique_id included, again on compute.<host>. After bus_detach(), or we would get it
 * ourselves. 0 only when the broker has confirmed that it is in the queue, within 10 s; ENOENT:
 * there is no such queue. After any other error it may be there all the same; nova-compute drops
 * the second of two copies that follow each other. A call expires when nobody takes it in that
 * time, its heartbeats end.
 */
int rpc_hand_back(struct bus *bus, const struct rpc_request *request, struct error *err);
