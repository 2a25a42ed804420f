/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt to connect to one broker: TCP, TLS, login, channels. Blocks for at most 20 s. */
#pragma once

#include <amqp.h>

#include "common/error.h"
#include "common/rabbit_options.h"
#include "common/transport_url.h"

/* Opens `channels`, 0-ended. *ret_state is owned: amqp_destroy_connection(). Any thread. The error
 * never shows a password. */
int broker_login(const struct transport_url *url, const struct transport_host *host,
                 const struct rabbit_options *options, const amqp_channel_t *channels,
                 amqp_connection_state_t *ret_state, struct error *err);
