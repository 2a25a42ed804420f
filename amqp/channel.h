/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channels of a connection: their numbers, and what became of a method that was sent on one.
 * Bus thread only.
 */
#pragma once

#include "amqp/connection.h"
#include "amqp/librabbitmq.h"
#include "common/error.h"

enum {
    PUBLISH_CHANNEL = 1,  /* of the publishing connections */
    TOPOLOGY_CHANNEL = 2, /* of all: for declarations; the broker closes it when one is refused */

    /* Of the consuming connection. */
    SERVER_CHANNEL = 1, /* requests come in, and their acks go out */
    REPLY_CHANNEL = 3,  /* replies to our calls come in */
};

/*
 * Judges a call that sends without waiting (amqp_basic_ack...). -ECONNRESET drops the connection.
 */
int channel_sent(struct connection *connection, int status, const char *what, struct error *err);

/*
 * Judges a call that waited for the broker's answer. When the broker closed the channel, it is
 * opened again and the error is -ENOENT (404), -EEXIST (406: declared with other arguments),
 * -EACCES (403), -EBUSY (405: another connection's) or -EPROTO. Anything worse drops the
 * connection: -ETIMEDOUT when there was no answer, else -ECONNRESET.
 */
int channel_answered(struct connection *connection, amqp_channel_t channel, const char *what,
                     struct error *err);
