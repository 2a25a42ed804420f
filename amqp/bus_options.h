/* SPDX-License-Identifier: Apache-2.0 */
/* What bus_new() is told. */
#pragma once

#include "common/rabbit_options.h"
#include "common/transport_url.h"

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
