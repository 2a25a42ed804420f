/* SPDX-License-Identifier: Apache-2.0 */
/* See exclusive_queues.h. */
#include "amqp/exclusive_queues.h"

#include <errno.h>
#include <stdio.h>

#include "amqp/channel.h"
#include "amqp/topology.h"
#include "common/id.h"

#define TOPIC_TAG "topic"
#define FANOUT_TAG "fanout"

static void name_fanout_queue(struct exclusive_queues *queues)
{
    char hex[ID_HEX_SIZE];
    id_new_hex(hex);
    (void)snprintf(queues->fanout_queue, sizeof(queues->fanout_queue), "%s_fanout_%s",
                   queues->settings->topic, hex);
}

void exclusive_queues_init(struct exclusive_queues *queues, const struct bus_settings *settings,
                           struct consumer *consumer, const char *host_queue)
{
    *queues = (struct exclusive_queues){
        .settings = settings, .consumer = consumer, .host_queue = host_queue};
    name_fanout_queue(queues);
}

/* It is on the node that an earlier connection went to: when that is down, it gets another name. */
static int need_fanout(struct exclusive_queues *queues, struct error *err)
{
    const struct bus_settings *settings = queues->settings;
    struct connection *connection = queues->consumer->connection;
    struct error away = ERROR_INIT;
    int r = topology_need_fanout(connection, &settings->rabbit, settings->topic,
                                 queues->fanout_queue, &away);
    if (r == -EHOSTDOWN) {
        name_fanout_queue(queues);
        return topology_need_fanout(connection, &settings->rabbit, settings->topic,
                                    queues->fanout_queue, err);
    }
    if (r < 0)
        *err = away;
    return r;
}

static int declare_queues(struct exclusive_queues *queues, struct error *err)
{
    const struct bus_settings *settings = queues->settings;
    struct connection *connection = queues->consumer->connection;
    int r = topology_need_queue(connection, &settings->rabbit, settings->control_exchange,
                                settings->topic, err);
    if (r < 0)
        return r;
    r = topology_need_queue(connection, &settings->rabbit, settings->control_exchange,
                            queues->host_queue, err);
    if (r < 0)
        return r;
    return need_fanout(queues, err);
}

int exclusive_queues_consume(struct exclusive_queues *queues, struct error *err)
{
    struct consumer *consumer = queues->consumer;
    int r = declare_queues(queues, err);
    if (r < 0)
        return r;
    if (!consumer_start(consumer, queues->settings->topic, TOPIC_TAG) ||
        !consumer_start_host_queue(consumer, queues->host_queue) ||
        !consumer_start(consumer, queues->fanout_queue, FANOUT_TAG))
        return error_set(err, ECONNRESET, EXC_INTERNAL_ERROR, "basic.consume could not be sent");
    return 0;
}

void exclusive_queues_cancel(struct exclusive_queues *queues)
{
    (void)consumer_cancel_and_wait(queues->consumer, TOPIC_TAG);
    (void)consumer_cancel_and_wait(queues->consumer, FANOUT_TAG);
}

void exclusive_queues_delete(struct exclusive_queues *queues)
{
    struct error ignored = ERROR_INIT;
    struct connection *connection = queues->consumer->connection;
    if (!connection_is_up(connection))
        return;
    (void)amqp_queue_delete(connection_state(connection), TOPOLOGY_CHANNEL,
                            amqp_cstring_bytes(queues->fanout_queue), false, false);
    (void)channel_answered(connection, TOPOLOGY_CHANNEL, "queue.delete", &ignored);
}
