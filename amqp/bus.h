/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message bus: oslo.messaging's RPC and notifications over RabbitMQ, for a peer of Nova.
 *
 * One thread owns the AMQP connection: it serves consumers, publishes, matches replies and sends
 * heartbeats. Every function here may be called from any other thread; they hand their work to the
 * bus thread over a queue. Broker loss is survived: reconnect with backoff over all hosts,
 * consumers are declared again, work that waits keeps waiting until its own deadline.
 */
#pragma once

#include <stdbool.h>

#include "amqp/bus_options.h"
#include "amqp/rpc_request.h"
#include "common/error.h"

struct bus;

/* Prepares a bus; nothing is connected yet. Borrows `server_ops` and its argument until
 * bus_free(). Returns owned. */
int bus_new(const struct bus_options *options, const struct rpc_server_ops *server_ops,
            void *server_arg, struct bus **ret_bus, struct error *err);

/*
 * Starts the bus thread and waits at most `timeout_ms` for the first connection (0 = does not
 * wait). ETIMEDOUT leaves the thread running: it goes on trying.
 */
int bus_start(struct bus *bus, unsigned timeout_ms, struct error *err);

/*
 * Stops consuming for good. When it returns the broker gives us no more requests, serve() is not
 * called any more, and what was prefetched goes back to the queue. All else still works.
 */
void bus_detach(struct bus *bus);

/* Why requests are not for us for a while; each comes and goes by itself. */
enum bus_aside {
    BUS_ASIDE_UNFIT = 1,   /* this host cannot serve them now */
    BUS_ASIDE_DRAINED = 2, /* somebody wants it so */
};

/*
 * Stops consuming as bus_detach() does, until no reason is left (`on` false). May come before
 * bus_start().
 */
void bus_stand_aside(struct bus *bus, enum bus_aside reason, bool on);

/* Whether that reason holds now. */
bool bus_stands_aside(struct bus *bus, enum bus_aside reason);

/* True while the consumer on compute.<host> is active, or nova-compute takes what was put back. */
bool bus_attached(struct bus *bus);

/*
 * True while the broker gives out what it has for compute.<host>: attached, or nova-compute
 * consumes it and nothing waits there. Nobody looks in EXCLUSIVE while the bus stands aside:
 * connected, then.
 */
bool bus_queue_is_given_out(struct bus *bus);

/* True while both directions to the broker are up. */
bool bus_connected(struct bus *bus);

#define BUS_BROKER_MAX 272

/* HOST:PORT of the broker that requests come from; "" while it is not connected. */
void bus_broker(struct bus *bus, char ret_broker[static BUS_BROKER_MAX]);

/*
 * From now on the bus thread turns at least every `interval_ms`, also when it has nothing to do
 * (0 = only then), so that bus_alive() can tell.
 */
void bus_watch(struct bus *bus, unsigned interval_ms);

/* The longest single wait of the bus thread is a write of 10 s; several may follow each other. */
#define BUS_STUCK_MS 30000

/* True when the bus thread has turned within the last `within_ms`, or is not started. */
bool bus_alive(struct bus *bus, unsigned within_ms);

/*
 * Stops the thread, closes the connections, fails what still waits (ECANCELED) and frees when the
 * last thread has left. A connection attempt that is under way is waited for (at most 15 s).
 * NULL-safe.
 */
void bus_free(struct bus *bus);
