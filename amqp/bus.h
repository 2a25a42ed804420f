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

#include "common/error.h"
#include "common/rabbit_options.h"
#include "common/request_context.h"
#include "common/transport_url.h"

struct bus;

/*
 * SHARED: beside an unmodified nova-compute, a priority consumer on its queue compute.<host> that
 * puts back what it does not serve. EXCLUSIVE: no nova-compute on this host name; the queues are
 * declared as oslo does and unserved calls are answered with oslo's own failures.
 */
enum bus_attach { BUS_ATTACH_SHARED, BUS_ATTACH_EXCLUSIVE };

/* All strings are borrowed until bus_new() returns, those of rabbit options until bus_free(). */
struct bus_options {
    const struct transport_url *url;
    const struct transport_url *notification_url; /* NULL = url */
    struct rabbit_options rabbit;                 /* with the query of `url` */
    struct rabbit_options
        notification_rabbit; /* with that of `notification_url`, if there is one */
    enum bus_attach attach;
    const char *control_exchange; /* "nova" */
    const char *topic;            /* "compute" */
    const char *server;           /* CONF.host */
    unsigned rpc_response_timeout_s;
    unsigned attach_poll_interval_s; /* SHARED: how often to look for nova-compute; 0 = 5 */

    /* EXCLUSIVE: the versions implemented in the null namespace ("6.1", "5.13"), NULL-ended; tells
     * UnsupportedVersion from NoSuchMethod. NULL = none. */
    const char *const *rpc_versions;
    const char *const *notification_drivers; /* [oslo_messaging_notifications]driver, NULL-ended */
    const char *const *notification_topics;  /* legacy topics, NULL-ended */
    const char *const *versioned_notification_topics; /* NULL-ended */
};

/* One decoded request. Owned by the server from serve() on; free with rpc_request_free(). */
struct rpc_request {
    char *method;
    char *namespace; /* NULL = null namespace */
    char *version;   /* "6.0" */
    char *unique_id;
    char *msg_id;                    /* NULL for a cast */
    char *reply_q;                   /* NULL for a cast */
    unsigned call_monitor_timeout_s; /* "_timeout" of a monitored call: the bus sends heartbeats
                                        until the reply; 0 = not monitored */
    json_t *args;                    /* object */
    struct request_context *context;
};

enum rpc_verdict {
    RPC_SERVE,    /* written down, acked, then handed to serve() */
    RPC_PUT_BACK, /* given to nova-compute (SHARED) or refused as oslo's dispatcher does (EXCLUSIVE)
                   */
};

/*
 * The RPC server. What runs on the bus thread must not block, not for the disk either, and must not
 * call the bus: every RPC of the host waits for it meanwhile. After accept() has said RPC_SERVE,
 * one of serve(), withdraw() and a doubt() that takes it follows. One that was served, or is about
 * to be, and comes again is dropped as a duplicate.
 */
struct rpc_server_ops {
    /* Decides about a request. Borrows. Bus thread. */
    enum rpc_verdict (*accept)(void *arg, const struct rpc_request *request);

    /* Before the ack, on a thread that may wait for the disk: writes down that it is to be served.
     * *claim (NULL at first) is the server's own, given back with the request. False when it cannot
     * (it has said why): the request goes where RPC_PUT_BACK sends it. */
    bool (*write_down)(void *arg, const struct rpc_request *request, void **claim);

    /* Takes the request: the broker has the ack. Bus thread. */
    void (*serve)(void *arg, struct rpc_request *request, void *claim);

    /* It is not to be served after all: the broker gives it out again. Without a claim on the bus
     * thread, else on the one that writes. */
    void (*withdraw)(void *arg, void *claim);

    /* The connection was lost behind the ack and before the broker's answer: perhaps nobody else
     * gets the request, perhaps somebody does. Bus thread. True: taken, as by serve(), and if it is
     * given out to us again that one is a duplicate. */
    bool (*doubt)(void *arg, struct rpc_request *request, void *claim);
};

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

void rpc_request_free(struct rpc_request *request);

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
