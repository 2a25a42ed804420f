/* The RPC table: which methods the agent serves, and what becomes of the others. */
#pragma once

#include "agent/agent.h"

/* The server operations of bus_new(); their argument is the struct agent. */
extern const struct rpc_server_ops dispatch_ops;
