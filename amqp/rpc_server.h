/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serving side of RPC: what becomes of each request that comes. Whether any come is
 * attachment.h's, how one that is accepted gets served is intake.h's. Bus thread only.
 */
#pragma once

#include <stdint.h>

#include "amqp/attachment.h"
#include "amqp/bus_settings.h"
#include "amqp/connection.h"
#include "amqp/content.h"
#include "amqp/replies.h"
#include "amqp/rpc_request.h"

struct rpc_server;

/* All is borrowed for the server's lifetime. */
struct rpc_server_setup {
    const struct bus_settings *settings;
    struct connection *consuming;
    struct replies *replies;
    struct attachment_flags *flags;
    int wake_fd; /* the bus thread's eventfd */
    const struct rpc_server_ops *ops;
    void *arg; /* of `ops` */
};

/* NULL when out of memory. */
struct rpc_server *rpc_server_new(const struct rpc_server_setup *setup);

/* NULL-safe. */
void rpc_server_free(struct rpc_server *server);

/* The consuming connection is new. */
int rpc_server_up(struct rpc_server *server, struct error *err);
void rpc_server_down(struct rpc_server *server);

/* A message on SERVER_CHANNEL. */
void rpc_server_request(struct rpc_server *server, const struct amqp_content *content);

/* basic.qos-ok on SERVER_CHANNEL. */
void rpc_server_answered(struct rpc_server *server);

/* The broker cancelled the consumer `tag`. */
void rpc_server_cancelled(struct rpc_server *server, amqp_bytes_t tag);

/* Puts back what is not served; attaches and detaches when it is time. */
void rpc_server_run(struct rpc_server *server, uint64_t now_ms);

uint64_t rpc_server_next_ms(const struct rpc_server *server);

/*
 * A request that was served is handed back, and whoever is given it next serves it; or it could not
 * be, and a copy is one again.
 */
void rpc_server_forget(struct rpc_server *server, const char *unique_id);
void rpc_server_remember(struct rpc_server *server, const char *unique_id);

/* `flags->aside` has changed: stops consuming, or begins again, and waits for the broker's word. */
void rpc_server_stand_aside(struct rpc_server *server);

/* attachment_look(). The connection is up. */
int rpc_server_look(struct rpc_server *server, struct queue_state *ret_others, struct error *err);

/* Stops consuming for good; waits for the broker's word that it has. */
void rpc_server_detach(struct rpc_server *server);
