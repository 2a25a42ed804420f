/* SPDX-License-Identifier: Apache-2.0 */
/* See channel.h. */
#include "amqp/channel.h"

#include <errno.h>

#include "amqp/broker_text.h"
#include "amqp/status_text.h"
#include "common/log.h"

int channel_sent(struct connection *connection, int status, const char *what, struct error *err)
{
    char text[STATUS_TEXT_SIZE];
    if (status == AMQP_STATUS_OK)
        return 0;
    connection_drop(connection, status_text(status, text));
    return error_set(err, ECONNRESET, EXC_INTERNAL_ERROR, "%s: %s", what, text);
}

static int errnum_of(uint16_t reply_code)
{
    switch (reply_code) {
    case AMQP_ACCESS_REFUSED:
        return EACCES;
    case AMQP_NOT_FOUND:
        return ENOENT;
    case AMQP_PRECONDITION_FAILED:
        return EEXIST;
    case AMQP_RESOURCE_LOCKED:
        return EBUSY;
    default:
        return EPROTO;
    }
}

/* A channel that may not even be opened is not opened again: no more of this connection. */
static int open_again(struct connection *connection, amqp_channel_t channel, struct error *err)
{
    (void)amqp_channel_open(connection_state(connection), channel);
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection_state(connection));
    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION ||
        reply.reply.id != AMQP_CHANNEL_CLOSE_METHOD)
        return channel_answered(connection, channel, "channel.open", err);
    const amqp_channel_close_t *closing = reply.reply.decoded;
    connection_closed(connection, "channel", closing->reply_code, closing->reply_text);
    return error_set(err, ECONNRESET, EXC_INTERNAL_ERROR, "channel.open: %s",
                     connection_trouble(connection));
}

static int reopen_after_close(struct connection *connection, amqp_channel_t channel,
                              const amqp_channel_close_t *closing, const char *what,
                              struct error *err)
{
    char words[BROKER_TEXT_SIZE];
    int errnum = errnum_of(closing->reply_code);
    broker_text(closing->reply_code, closing->reply_text, words);
    log_debug("the broker closed channel %u after %s: %s", channel, what, words);
    (void)error_set(err, errnum, EXC_INTERNAL_ERROR, "%s: %s", what, words);
    amqp_channel_close_ok_t ok = {0};
    struct error reopening = ERROR_INIT;
    int r = channel_sent(
        connection,
        amqp_send_method(connection_state(connection), channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok),
        what, &reopening);
    if (r == 0)
        r = open_again(connection, channel, &reopening);
    if (r == 0)
        return -errnum;
    *err = reopening;
    return r;
}

int channel_answered(struct connection *connection, amqp_channel_t channel, const char *what,
                     struct error *err)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection_state(connection));
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return 0;
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) {
        if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD)
            return reopen_after_close(connection, channel, reply.reply.decoded, what, err);
        const amqp_connection_close_t *closing = reply.reply.decoded;
        connection_closed(connection, "connection", closing->reply_code, closing->reply_text);
    } else {
        char text[STATUS_TEXT_SIZE];
        connection_drop(connection, status_text(reply.library_error, text));
    }
    bool is_silent = reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
                     reply.library_error == AMQP_STATUS_TIMEOUT;
    return error_set(err, is_silent ? ETIMEDOUT : ECONNRESET, EXC_INTERNAL_ERROR, "%s: %s", what,
                     connection_trouble(connection));
}
