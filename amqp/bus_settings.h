/* SPDX-License-Identifier: Apache-2.0 */
/* Deep copies of what bus_new() was given: constant, read in any thread without a lock. */
#pragma once

#include "amqp/bus_options.h"
#include "common/error.h"

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

/* Checks and copies; warns about notification drivers that do nothing here. EINVAL. */
int bus_settings_init(struct bus_settings *settings, const struct bus_options *options,
                      struct error *err);

/* Also for settings that bus_settings_init() left half done, or zeroed ones. */
void bus_settings_clear(struct bus_settings *settings);
