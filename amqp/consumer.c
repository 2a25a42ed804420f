/* SPDX-License-Identifier: Apache-2.0 */
/* See consumer.h. */
#include "amqp/consumer.h"

#include <stdio.h>

#include "amqp/channel.h"
#include "amqp/table_entry.h"
#include "common/log.h"

#define PRIORITY 10 /* nova-compute's consumer has none, which is 0 */

void consumer_init(struct consumer *consumer, struct connection *connection,
                   const struct bus_settings *settings)
{
    *consumer = (struct consumer){.connection = connection, .settings = settings};
}

static amqp_connection_state_t state_of(const struct consumer *consumer)
{
    return connection_state(consumer->connection);
}

static bool was_sent(struct consumer *consumer, int status, const char *what)
{
    struct error ignored = ERROR_INIT; /* the connection tells why it is lost */
    return channel_sent(consumer->connection, status, what, &ignored) == 0;
}

bool consumer_start(struct consumer *consumer, const char *queue, const char *tag)
{
    amqp_table_entry_t entries[2];
    amqp_table_t arguments = {.num_entries = 0, .entries = entries};
    if (consumer->settings->attach == BUS_ATTACH_SHARED)
        entries[arguments.num_entries++] = table_entry_int32("x-priority", PRIORITY);
    if (consumer->settings->rabbit.enable_cancel_on_failover)
        entries[arguments.num_entries++] = table_entry_true("x-cancel-on-ha-failover");
    amqp_basic_consume_t method = {
        .queue = amqp_cstring_bytes(queue),
        .consumer_tag = amqp_cstring_bytes(tag),
        .nowait = 1,
        .arguments = arguments,
    };
    log_debug("consuming %s, consumer tag %s", queue, tag);
    return was_sent(
        consumer,
        amqp_send_method(state_of(consumer), SERVER_CHANNEL, AMQP_BASIC_CONSUME_METHOD, &method),
        "basic.consume");
}

bool consumer_start_host_queue(struct consumer *consumer, const char *queue)
{
    (void)snprintf(consumer->tag, sizeof(consumer->tag), "%u", ++consumer->n_started);
    return consumer_start(consumer, queue, consumer->tag);
}

bool consumer_cancel(struct consumer *consumer)
{
    amqp_basic_cancel_t method = {.consumer_tag = amqp_cstring_bytes(consumer->tag), .nowait = 1};
    log_debug("cancelling consumer tag %s", consumer->tag);
    return was_sent(
        consumer,
        amqp_send_method(state_of(consumer), SERVER_CHANNEL, AMQP_BASIC_CANCEL_METHOD, &method),
        "basic.cancel");
}

bool consumer_cancel_and_wait(struct consumer *consumer, const char *tag)
{
    struct error error = ERROR_INIT;
    if (!connection_is_up(consumer->connection))
        return false;
    if (tag[0] == '\0')
        return true;
    log_debug("cancelling consumer tag %s and waiting for the broker's answer", tag);
    (void)amqp_basic_cancel(state_of(consumer), SERVER_CHANNEL, amqp_cstring_bytes(tag));
    if (channel_answered(consumer->connection, SERVER_CHANNEL, "basic.cancel", &error) == 0)
        return true;
    connection_drop(consumer->connection, error.message); /* what the channel held is gone */
    return false;
}

bool consumer_ack(struct consumer *consumer, uint64_t delivery_tag)
{
    return was_sent(consumer,
                    amqp_basic_ack(state_of(consumer), SERVER_CHANNEL, delivery_tag, false),
                    "basic.ack");
}

bool consumer_requeue(struct consumer *consumer, uint64_t delivery_tag)
{
    return was_sent(consumer,
                    amqp_basic_nack(state_of(consumer), SERVER_CHANNEL, delivery_tag, false, true),
                    "basic.nack");
}

bool consumer_reject(struct consumer *consumer, uint64_t delivery_tag)
{
    return was_sent(consumer,
                    amqp_basic_reject(state_of(consumer), SERVER_CHANNEL, delivery_tag, false),
                    "basic.reject");
}

int consumer_limit_prefetch(struct consumer *consumer, uint16_t count, struct error *err)
{
    if (count == 0)
        return 0;
    (void)amqp_basic_qos(state_of(consumer), SERVER_CHANNEL, 0, count, false);
    return channel_answered(consumer->connection, SERVER_CHANNEL, "basic.qos", err);
}
