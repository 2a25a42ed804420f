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

#include <jansson.h>
#include <stdbool.h>

#include "amqp/bus_options.h"
#include "amqp/rpc_request.h"
#include "common/error.h"

struct bus;

/* Prepares a bus; nothing is connected yet. Returns owned. */
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

/* True while the consumer on compute.<host> is active, or nova-compute takes what was put back. */
bool bus_attached(struct bus *bus);

/* True while both directions to the broker are up. */
bool bus_connected(struct bus *bus);

/*
 * From now on the bus thread turns at least every `interval_ms`, also when it has nothing to do
 * (0 = only then), so that bus_alive() can tell.
 */
void bus_watch(struct bus *bus, unsigned interval_ms);

/* True when the bus thread has turned within the last `within_ms`, or is not started. */
bool bus_alive(struct bus *bus, unsigned within_ms);

/*
 * Stops the thread, closes the connections, fails what still waits (ECANCELED) and frees when the
 * last thread has left. A connection attempt that is under way is waited for (at most 15 s).
 * NULL-safe.
 */
void bus_free(struct bus *bus);

/*
 * Calls `method` on `topic` and waits for the reply, at most `timeout_ms` (0 =
 * rpc_response_timeout), publishing included. Takes `args` (object) also on failure. Heartbeats of
 * a long call are honoured. On success *ret_result is the owned result (may be JSON null). A remote
 * failure comes back with the remote's exc, module and message; a missing answer with
 * EXC_MESSAGING_TIMEOUT and ETIMEDOUT: the call may then still have been executed.
 */
int rpc_call(struct bus *bus, const char *topic, const char *version,
             const struct request_context *context, const char *method, json_t *args,
             unsigned timeout_ms, json_t **ret_result, struct error *err);

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

enum notification_kind { NOTIFICATION_LEGACY, NOTIFICATION_VERSIONED };

/*
 * Emits a notification to the topics of its kind through every configured driver; with no driver
 * nothing is sent and 0 is returned. `priority` is "INFO" or "ERROR". Takes `payload`. The context
 * is sanitised as oslo does. Waits for the confirm, at most rpc_response_timeout.
 */
int notifier_notify(struct bus *bus, enum notification_kind kind,
                    const struct request_context *context, const char *publisher_id,
                    const char *event_type, const char *priority, json_t *payload,
                    struct error *err);
