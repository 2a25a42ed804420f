/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oslo.messaging's transport_url:
 * rabbit://user:pass@host:port,user:pass@host:port/vhost?option=value
 * (oslo_messaging.transport.TransportURL.parse, then kombu's second look at it).
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "common/error.h"

#define TRANSPORT_URL_MAX_HOSTS 32

struct transport_host {
    char *hostname;
    unsigned port;  /* 5672 when not given */
    char *username; /* "" when not given */
    char *password; /* a secret */
};

struct transport_query {
    char *name;
    char *value;
};

struct transport_url {
    struct transport_host hosts[TRANSPORT_URL_MAX_HOSTS];
    unsigned n_hosts;
    char *virtual_host;
    struct transport_query *queries; /* override [oslo_messaging_rabbit] options of the same name */
    unsigned n_queries;
};

/* False for a transport of oslo.messaging that is not spoken here, as kafka:// for notifications.
 */
bool transport_url_is_rabbit(const char *text);

/* Parses `text` (borrowed). The error never shows the password. Returns owned. */
int transport_url_parse(const char *text, struct transport_url **ret_url, struct error *err);

/* Writes `text` with **** for each password; all else stays as it is. */
void transport_url_show(const char *text, FILE *out);

/* Returns an owned copy; NULL when out of memory. */
struct transport_url *transport_url_copy(const struct transport_url *url);

/* NULL-safe; clears passwords before freeing. */
void transport_url_free(struct transport_url *url);
