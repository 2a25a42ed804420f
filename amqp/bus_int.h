/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus seen from inside: for bus.c and what stands on it (rpc.c, rpc_hand_back.c, notifier.c).
 * The parts do not know it; each is given what it needs.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "amqp/attachment.h"
#include "amqp/bus.h"
#include "amqp/bus_settings.h"
#include "amqp/bus_work.h"

struct connection;
struct publisher;
struct replies;
struct rpc_client;
struct rpc_server;

struct bus {
    struct bus_settings settings; /* constant */
    struct bus_work_queue works;
    struct attachment_flags flags;
    atomic_bool up;                /* both directions, now */
    atomic_uint watch_interval_ms; /* 0 = nobody watches */
    atomic_uint_least64_t turn_ms; /* when the thread last turned; 0 = never */

    /*
     * Bus thread only, which frees them when it ends. Another thread may put one of these pointers
     * into work, for the bus thread to look behind it: work that is started finds them alive.
     */
    struct connection *consuming; /* requests and replies come in here */
    struct publisher *publisher;
    struct publisher *notification_publisher; /* `publisher` unless there is a URL of its own */
    struct rpc_server *server;
    struct rpc_client *client;
    struct replies *replies;

    pthread_t thread;
    pthread_mutex_t lock; /* guards all below; never held together with that of `works` */
    pthread_cond_t changed;
    bool connected;              /* both directions were up once */
    struct error trouble;        /* why it is not connected */
    char broker[BUS_BROKER_MAX]; /* "" = not connected */
};

/* Bus thread only: why it is not connected; "" when nothing is known. Borrowed. */
const char *bus_trouble(const struct bus *bus);

/* While a public function is in this scope, bus_free() waits: `settings` and `works` are there. */
#define BUS_SCOPE(bus) BUS_WORK_SCOPE(&(bus)->works)
