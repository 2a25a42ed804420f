/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to libvirtd: opened when first needed, opened again when it was lost, with
 * keepalive, and with the thread that runs libvirt's event loop. One per process at a time, as
 * libvirt's default event loop is.
 *
 * Thread-safe. A virDomainPtr of a lost connection stays lost: look the domain up again.
 */
#pragma once

#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"
#include "driver/libvirt/domain_watch.h"

struct libvirt_connection;

/* Starts the event loop; does not connect yet. `uri` is copied. Returns owned. */
int libvirt_connection_new(const char *uri, struct libvirt_connection **ret_connection,
                           struct error *err);

/*
 * NULL-safe. Ends the event loop thread: no callback runs afterwards. While a libvirtd hangs that
 * is being connected to, nothing is freed: a thread still uses it.
 */
void libvirt_connection_free(struct libvirt_connection *connection);

/*
 * A reference to a live connection: give it back with virConnectClose(). Connecting is tried again
 * for `patience_ms` (0: once); a libvirtd that hangs is waited for 5 s each time (ETIMEDOUT).
 */
int libvirt_connection_get(struct libvirt_connection *connection, unsigned patience_ms,
                           virConnectPtr *ret_conn, struct error *err);

/*
 * The domain of an instance: virDomainFree() it. -ENOENT and exception class `exc_missing` when
 * there is none.
 */
int libvirt_connection_find_domain(struct libvirt_connection *connection, const char *uuid,
                                   unsigned patience_ms, const char *exc_missing,
                                   virDomainPtr *ret_domain, struct error *err);

/*
 * Whether the connection that `domain` was looked up with is lost, though a proxy between may live:
 * look it up again. Forgets this thread's last libvirt error.
 */
bool libvirt_connection_is_lost(struct libvirt_connection *connection, virDomainPtr domain);

/* How often it was opened: as long as that stays, so does the libvirtd behind it. */
unsigned libvirt_connection_number(struct libvirt_connection *connection);

/* How long is waited for a libvirtd that is being restarted, where a guest may wait as well. */
#define LIBVIRT_PATIENCE_MS 30000

/*
 * domain_watch_new() fed by this connection's events, with the patience of
 * libvirt_connection_get(). Free it before the connection.
 */
int libvirt_connection_watch(struct libvirt_connection *connection, const char *uuid,
                             const char *disk_target, unsigned patience_ms,
                             struct domain_watch **ret_watch, struct error *err);

/*
 * Turns this thread's last libvirt error into *err: NO_DOMAIN to InstanceNotFound (ENOENT), the
 * rest to InternalError (EIO), with libvirt's text behind `format`. Returns -errno.
 */
int libvirt_error(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void cleanup_free_domain(virDomainPtr *domain)
{
    if (*domain)
        (void)virDomainFree(*domain);
}

static inline void cleanup_close_conn(virConnectPtr *conn)
{
    if (*conn)
        (void)virConnectClose(*conn);
}

#define cleanup_domain __attribute__((cleanup(cleanup_free_domain)))
#define cleanup_conn __attribute__((cleanup(cleanup_close_conn)))
