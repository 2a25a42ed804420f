/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a request: who serves it, and what is put back. The methods: methods.h. */
#pragma once

#include "agent/agent.h"
#include "agent/journal.h"
#include "amqp/bus.h"

/* The server operations of bus_new(); their argument is the struct agent. */
extern const struct rpc_server_ops dispatch_ops;

/*
 * Starts a worker (true) that brings a request to its end which an earlier agent has left in the
 * journal. Takes both; what cannot be read is set aside, what cannot be started is left to the next
 * start.
 */
bool dispatch_recover(struct agent *agent, struct rpc_request *request,
                      struct journal_record *record);
