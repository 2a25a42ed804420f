/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics over TCP, for a Prometheus that cannot reach a UNIX socket, and nothing else: no
 * control. One thread answers all; a client that is silent for seconds is dropped, and one address
 * has a few connections at most.
 */
#pragma once

#include "common/error.h"

struct metrics_server;

/*
 * `address` is "PORT", on 127.0.0.1 then, "ADDRESS:PORT" or "[IPv6]:PORT"; of port 0 the system
 * chooses one. `text` makes what is answered, owned, on the server's thread; it may be NULL.
 * EINVAL: it is no address. Returns owned.
 */
int metrics_server_start(const char *address, char *(*text)(void *arg), void *arg,
                         struct metrics_server **ret_server, struct error *err);

/* The port it listens on. */
unsigned metrics_server_port(const struct metrics_server *server);

/* NULL-safe. An answer that is being made is waited for. */
void metrics_server_stop(struct metrics_server *server);
