/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An RPC request, as it comes from a peer and as it is made for one, and who serves it. The
 * functions are pure. Sources: oslo_messaging._drivers.amqp (pack_context), rpc/dispatcher.py.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/request_context.h"

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

/* NULL-safe. */
void rpc_request_free(struct rpc_request *request);

/* Decodes a request. Returns owned. */
int rpc_request_unpack(const char *body, size_t length, struct rpc_request **ret_request,
                       struct error *err);

/*
 * The message of a request without the ids that are new at every attempt. Takes `args` (object),
 * also on failure. Returns owned.
 */
int rpc_request_message(const char *method, const char *version,
                        const struct request_context *context, json_t *args, json_t **ret_message,
                        struct error *err);

/*
 * The message of a request that came from elsewhere, ids included: what was unpacked, packed again.
 * Borrows `request`. Returns owned.
 */
int rpc_request_message_again(const struct rpc_request *request, json_t **ret_message,
                              struct error *err);

enum rpc_verdict {
    RPC_SERVE,    /* written down, acked, then handed to serve() */
    RPC_PUT_BACK, /* given to nova-compute (SHARED) or refused as oslo's dispatcher does (EXCLUSIVE)
                   */
};

/*
 * Who serves requests. What runs on the bus thread must not block, not for the disk either, and
 * must not call the bus: every RPC of the host waits for it meanwhile.
 *
 * After accept() has said RPC_SERVE, exactly one of these ends it: serve(), withdraw(), or a
 * doubt() that returns true; one that returns false is followed by withdraw(). A copy of a request
 * that was served, or is about to be, is dropped as a duplicate.
 */
struct rpc_server_ops {
    /* Decides about a request. Borrows. Bus thread. */
    enum rpc_verdict (*accept)(void *arg, const struct rpc_request *request);

    /* Before the ack, on a thread that may wait for the disk: writes down that it is to be served.
     * *claim (NULL at first) is whatever the callee wants to get back with the request. False when
     * it cannot (it has said why): the request goes back to nova-compute, or, where there is none,
     * is asked for again after a while. */
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
