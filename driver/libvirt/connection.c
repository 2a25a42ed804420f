/* SPDX-License-Identifier: Apache-2.0 */
/* See connection.h. */
#include "driver/libvirt/connection.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metric.h"
#include "driver/driver.h"
#include "driver/libvirt/credentials.h"
#include "driver/libvirt/domain_events.h"
#include "driver/libvirt/event_loop.h"

#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT 5
#define RETRY_PAUSE_MS 250
#define OPEN_TIMEOUT_MS 5000
#define LOOK_MS 250

struct libvirt_connection {
    char *uri;
    struct domain_watches *watches;
    struct event_loop loop;
    atomic_bool is_lost;         /* the connection, which may be one to a proxy that lives */
    pthread_mutex_t lock;        /* of all below; never taken by a callback */
    virConnectPtr conn;          /* NULL until the first use */
    struct domain_events events; /* of conn */
    unsigned number;             /* of conn */
    bool opening; /* a thread connects: a libvirtd may hang then, without keepalive */
    pthread_cond_t opened;
    struct error open_failure; /* of the last time */
};

int libvirt_error(struct error *err, const char *format, ...)
{
    char what[ERROR_MESSAGE_MAX / 2];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(what, sizeof(what), format, ap);
    va_end(ap);
    const virError *error = virGetLastError();
    const char *text = error && error->message ? error->message : "unknown libvirt error";
    if (error && error->code == VIR_ERR_NO_DOMAIN)
        return error_set(err, ENOENT, EXC_INSTANCE_NOT_FOUND, "%s: %s", what, text);
    return error_set(err, EIO, EXC_LIBVIRT_ERROR, "%s: %s", what, text);
}

/* Told by a proxy as well, whose own connection it was. */
static void on_close(virConnectPtr conn, int reason, void *opaque)
{
    struct libvirt_connection *connection = opaque;
    (void)conn;
    log_debug("the connection to libvirtd is lost (reason %d)", reason);
    atomic_store(&connection->is_lost, true);
    domain_watches_disconnected(connection->watches);
}

/* Each callback holds a reference to the connection, also to one that is lost. */
static void drop_conn(struct libvirt_connection *connection)
{
    if (!connection->conn)
        return;
    domain_watches_disconnected(connection->watches); /* on_close() may be yet to come */
    domain_events_deregister(connection->conn, &connection->events);
    (void)virConnectUnregisterCloseCallback(connection->conn, on_close);
    (void)virConnectClose(connection->conn);
    connection->conn = NULL;
}

static bool listen_to_conn(struct libvirt_connection *connection, virConnectPtr conn,
                           struct domain_events *ret_events)
{
    if (domain_events_register(conn, connection->watches, ret_events) < 0)
        return false;
    if (virConnectRegisterCloseCallback(conn, on_close, connection, NULL) == 0)
        return true;
    domain_events_deregister(conn, ret_events);
    return false;
}

static int open_conn(struct libvirt_connection *connection, virConnectPtr *ret_conn,
                     struct domain_events *ret_events, struct error *err)
{
    atomic_store(&connection->is_lost, false);
    cleanup_conn virConnectPtr conn = credentials_open(connection->uri);
    if (!conn)
        return libvirt_error(err, "cannot connect to %s", connection->uri);
    /* A driver without keepalive (test:///default) is as good. */
    (void)virConnectSetKeepAlive(conn, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT);
    if (!listen_to_conn(connection, conn, ret_events))
        return libvirt_error(err, "cannot listen to the events of %s", connection->uri);
    log_debug("connected to %s", connection->uri);
    metric_add(METRIC_CONNECTIONS, METRIC_LIBVIRT, 1);
    *ret_conn = TAKE_PTR(conn);
    return 0;
}

static void *run_open(void *arg)
{
    struct libvirt_connection *connection = arg;
    struct error failure = ERROR_INIT;
    virConnectPtr conn = NULL;
    struct domain_events events;
    (void)open_conn(connection, &conn, &events, &failure);
    LOCK_SCOPE(&connection->lock);
    connection->conn = conn;
    if (conn) {
        connection->events = events;
        connection->number++;
    }
    connection->open_failure = failure;
    connection->opening = false;
    (void)pthread_cond_broadcast(&connection->opened);
    return NULL;
}

static int start_open(struct libvirt_connection *connection, struct error *err)
{
    pthread_t thread;
    int r = pthread_create(&thread, NULL, run_open, connection);
    if (r != 0)
        return error_errno(err, r, "cannot start a thread to connect to libvirtd");
    (void)pthread_detach(thread);
    connection->opening = true;
    return 0;
}

/* With the lock. A thread that does not connect in time goes on, and the next caller waits for it.
 */
static int await_open(struct libvirt_connection *connection, struct error *err)
{
    const uint64_t end_ms = clock_now_ms() + OPEN_TIMEOUT_MS;
    int r = connection->opening ? 0 : start_open(connection, err);
    while (r == 0 && connection->opening) {
        const struct timespec look = clock_deadline(LOOK_MS);
        (void)pthread_cond_timedwait(&connection->opened, &connection->lock, &look);
        if (connection->opening && clock_now_ms() >= end_ms)
            r = error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR, "cannot connect to %s: no answer",
                          connection->uri);
        else if (connection->opening)
            r = cancel_check(err);
    }
    if (r < 0 || connection->conn)
        return r;
    *err = connection->open_failure;
    return -err->errnum;
}

/* With the lock. The way to a proxy is alive when what is behind it has gone. */
static bool conn_is_lost(struct libvirt_connection *connection, virConnectPtr conn)
{
    return conn != connection->conn || atomic_load(&connection->is_lost) ||
           virConnectIsAlive(conn) != 1;
}

static bool is_lost(struct libvirt_connection *connection, virConnectPtr conn)
{
    LOCK_SCOPE(&connection->lock);
    return conn_is_lost(connection, conn);
}

bool libvirt_connection_is_lost(struct libvirt_connection *connection, virDomainPtr domain)
{
    return is_lost(connection, virDomainGetConnect(domain));
}

unsigned libvirt_connection_number(struct libvirt_connection *connection)
{
    LOCK_SCOPE(&connection->lock);
    return connection->number;
}

static int get_once(struct libvirt_connection *connection, virConnectPtr *ret_conn,
                    struct error *err)
{
    LOCK_SCOPE(&connection->lock);
    if (connection->conn && conn_is_lost(connection, connection->conn)) {
        log_debug("the connection to %s is not alive, it is opened again", connection->uri);
        drop_conn(connection);
    }
    int r = connection->conn ? 0 : await_open(connection, err);
    if (r < 0)
        return r;
    if (virConnectRef(connection->conn) < 0)
        return libvirt_error(err, "cannot use the connection to %s", connection->uri);
    *ret_conn = connection->conn;
    return 0;
}

static int pause_before_retry(const struct error *failure, struct error *err)
{
    struct pollfd cancelled = {.fd = cancel_fd(), .events = POLLIN};
    log_debug("will retry in %d ms: %s", RETRY_PAUSE_MS, failure->message);
    return poll(&cancelled, 1, RETRY_PAUSE_MS) > 0 ? cancel_check(err) : 0;
}

int libvirt_connection_get(struct libvirt_connection *connection, unsigned patience_ms,
                           virConnectPtr *ret_conn, struct error *err)
{
    const uint64_t end_ms = clock_now_ms() + patience_ms;
    for (;;) {
        struct error failure = ERROR_INIT;
        int r = get_once(connection, ret_conn, &failure);
        if (r == 0)
            return 0;
        if (r == -ECANCELED || clock_now_ms() >= end_ms) {
            *err = failure;
            return r;
        }
        r = pause_before_retry(&failure, err);
        if (r < 0)
            return r;
    }
}

int libvirt_connection_find_domain(struct libvirt_connection *connection, const char *uuid,
                                   unsigned patience_ms, const char *exc_missing,
                                   virDomainPtr *ret_domain, struct error *err)
{
    const uint64_t end_ms = clock_now_ms() + patience_ms;
    for (;;) {
        cleanup_conn virConnectPtr conn = NULL;
        int r = libvirt_connection_get(connection, (unsigned)clock_left_ms(end_ms), &conn, err);
        if (r < 0)
            return r;
        virDomainPtr domain = virDomainLookupByUUIDString(conn, uuid);
        if (domain) {
            *ret_domain = domain;
            return 0;
        }
        if (virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
            return error_set(err, ENOENT, exc_missing, "Instance %s has no libvirt domain", uuid);
        struct error failure = ERROR_INIT;
        r = libvirt_error(&failure, "cannot look up the domain of instance %s", uuid);
        if (clock_now_ms() >= end_ms || !is_lost(connection, conn)) {
            *err = failure;
            return r;
        }
        r = pause_before_retry(&failure, err);
        if (r < 0)
            return r;
    }
}

int libvirt_connection_watch(struct libvirt_connection *connection, const char *uuid,
                             const char *disk_target, unsigned patience_ms,
                             struct domain_watch **ret_watch, struct error *err)
{
    cleanup_conn virConnectPtr conn = NULL;
    int r = libvirt_connection_get(connection, patience_ms, &conn, err);
    return r < 0 ? r : domain_watch_new(connection->watches, uuid, disk_target, ret_watch, err);
}

static void release_connection(struct libvirt_connection *connection)
{
    domain_watches_free(connection->watches);
    (void)pthread_cond_destroy(&connection->opened);
    (void)pthread_mutex_destroy(&connection->lock);
    free(connection->uri);
    free(connection);
}

int libvirt_connection_new(const char *uri, struct libvirt_connection **ret_connection,
                           struct error *err)
{
    struct libvirt_connection *connection = calloc(1, sizeof(*connection));
    if (!connection)
        return error_nomem(err);
    (void)pthread_mutex_init(&connection->lock, NULL);
    clock_cond_init(&connection->opened);
    connection->uri = strdup(uri);
    int r = connection->uri ? domain_watches_new(&connection->watches, err) : error_nomem(err);
    if (r == 0)
        r = event_loop_start(&connection->loop, err);
    if (r < 0) {
        release_connection(connection);
        return r;
    }
    *ret_connection = connection;
    return 0;
}

/* Waits for a thread that connects; false when it still does after the time it has for that. */
static bool await_no_opening(struct libvirt_connection *connection)
{
    const struct timespec deadline = clock_deadline(OPEN_TIMEOUT_MS);
    LOCK_SCOPE(&connection->lock);
    while (connection->opening)
        if (pthread_cond_timedwait(&connection->opened, &connection->lock, &deadline) == ETIMEDOUT)
            break;
    return !connection->opening;
}

void libvirt_connection_free(struct libvirt_connection *connection)
{
    if (!connection)
        return;
    if (!await_no_opening(connection)) {
        log_warning("libvirtd does not answer: the connection to it is not closed");
        event_loop_stop(&connection->loop);
        return;
    }
    drop_conn(connection);
    event_loop_stop(&connection->loop);
    release_connection(connection);
}
