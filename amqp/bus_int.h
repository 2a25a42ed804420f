/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus seen from inside: how a calling thread hands work to the bus thread, and the parts the
 * bus thread drives.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "amqp/bus.h"
#include "amqp/publisher.h"

struct replies;
struct rpc_client;
struct rpc_server;

/* A piece of work, on the stack of the thread that waits for it. */
struct bus_work {
    /* On the bus thread. Sees to it that bus_work_done() is called, now or later. */
    void (*start)(struct bus *bus, struct bus_work *work);

    STAILQ_ENTRY(bus_work) link;
    bool done;
    int result; /* 0 or -errno */
    struct error error;
};

/* Immutable after bus_new(). */
struct bus_settings {
    struct transport_url *url;
    struct transport_url *notification_url; /* NULL = url */
    struct rabbit_options rabbit;
    struct rabbit_options notification_rabbit; /* of notification_url */
    enum bus_attach attach;
    char *control_exchange;
    char *topic;
    char *server;
    unsigned rpc_response_timeout_s;
    unsigned attach_poll_interval_s;
    char **rpc_versions;
    char **notification_drivers;
    char **notification_topics;
    char **versioned_notification_topics;
};

struct bus {
    struct bus_settings settings;
    int wake_fd; /* eventfd: work was queued, a connect ended */
    atomic_bool attached;
    atomic_bool up;                /* both directions, now */
    atomic_uint aside;             /* bits of enum bus_aside */
    atomic_uint watch_interval_ms; /* 0 = nobody watches */
    atomic_uint_least64_t turn_ms; /* when the thread last turned; 0 = never */

    /* Bus thread only. */
    struct connection *consuming; /* requests and replies come in here */
    struct publisher *publisher;
    struct publisher *notification_publisher; /* `publisher` unless there is a URL of its own */
    struct rpc_server *server;
    struct rpc_client *client;
    struct replies *replies;

    pthread_t thread;
    pthread_mutex_t lock; /* guards all below, and `done` of every work */
    pthread_cond_t changed;
    STAILQ_HEAD(, bus_work) queue;
    bool started;
    bool connected; /* both directions were up once */
    bool stopping;
    unsigned callers;     /* threads inside a public function */
    struct error trouble; /* why it is not connected */
};

/* Between the two, bus_free() waits: for public functions that may run in any thread. */
struct bus *bus_enter(struct bus *bus);
void bus_leave(struct bus **bus);
#define BUS_SCOPE(bus)                                                                             \
    __attribute__((unused, cleanup(bus_leave))) struct bus *scope_bus_ = bus_enter(bus)

/*
 * Has `work` done by the bus thread and waits for it. ENOTCONN before bus_start(), ECANCELED while
 * the bus stops. Not from the bus thread.
 */
int bus_work_run(struct bus *bus, struct bus_work *work, struct error *err);

/* Bus thread: lets the waiting thread go on. `error` is copied when `result` is negative. */
void bus_work_done(struct bus *bus, struct bus_work *work, int result, const struct error *error);
