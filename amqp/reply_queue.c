/* SPDX-License-Identifier: Apache-2.0 */
/* See reply_queue.h. */
#include "amqp/reply_queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "amqp/channel.h"
#include "amqp/topology.h"
#include "common/clock.h"
#include "common/log.h"

#define CONSUMER_TAG "reply"

/* Servers blacklist a reply queue for 60 s after 60 s without it (ObsoleteReplyQueuesCache). */
#define OUTAGE_MAX_MS 60000

/* A node that stops takes its queues with it within seconds; 4.2 keeps names for it. */
#define NODE_STOPS_MS 10000

/*
 * RabbitMQ with Mnesia lists the queues of a node that died, then deletes them by name, and with
 * them one that was declared anew meanwhile (rabbit_db_queue.erl, delete_transient_in_mnesia): its
 * consumer is not told. So it is looked at, soon at first.
 */
#define LOOK_FIRST_MS 2000
#define LOOK_MAX_MS 60000

static void name_queue(struct reply_queue *queue)
{
    char hex[ID_HEX_SIZE];
    id_new_hex(hex);
    (void)snprintf(queue->name, sizeof(queue->name), "reply_%s", hex);
}

void reply_queue_init(struct reply_queue *queue, struct connection *connection,
                      const struct rabbit_options *options)
{
    *queue = (struct reply_queue){.connection = connection, .options = options};
    name_queue(queue);
}

static int consume_replies(struct reply_queue *queue, struct error *err)
{
    struct connection *connection = queue->connection;
    int r = topology_need_reply_queue(connection, queue->options, queue->name, err);
    if (r < 0)
        return r;
    (void)amqp_basic_consume(connection_state(connection), REPLY_CHANNEL,
                             amqp_cstring_bytes(queue->name), amqp_cstring_bytes(CONSUMER_TAG),
                             false, false, false, amqp_empty_table);
    r = channel_answered(connection, REPLY_CHANNEL, "basic.consume of replies", err);
    if (r < 0)
        return r;
    log_debug("consuming replies from %s", queue->name);
    queue->look_pause_ms = LOOK_FIRST_MS;
    queue->look_ms = clock_now_ms() + LOOK_FIRST_MS;
    return 0;
}

/* Without waiting for an answer. */
static void delete_queue(const struct reply_queue *queue)
{
    struct error error = ERROR_INIT;
    amqp_queue_delete_t method = {.queue = amqp_cstring_bytes(queue->name), .nowait = 1};
    int status = amqp_send_method(connection_state(queue->connection), REPLY_CHANNEL,
                                  AMQP_QUEUE_DELETE_METHOD, &method);
    (void)channel_sent(queue->connection, status, "queue.delete", &error);
}

/*
 * The silence may have been a slow broker's, and replies be on their way to the old name. A broker
 * that answers for another name is not slow now: it is asked for the old one once more. The other
 * name stays when the old one has no answer then, either.
 */
static int choose_name(struct reply_queue *queue, struct error *err)
{
    struct connection *connection = queue->connection;
    char old_name[sizeof(queue->name)];
    memcpy(old_name, queue->name, sizeof(old_name));
    name_queue(queue);
    int r = topology_need_reply_queue(connection, queue->options, queue->name, err);
    if (r == 0) {
        struct error failure = ERROR_INIT;
        silent_queues_answer(connection_silent_queues(connection), old_name);
        r = topology_need_reply_queue(connection, queue->options, old_name, &failure);
        if (r == -EHOSTDOWN)
            return 0;
        if (r < 0)
            *err = failure;
        if (r == -ETIMEDOUT)
            return r;
        if (r == 0)
            delete_queue(queue);
    }
    memcpy(queue->name, old_name, sizeof(old_name));
    return r;
}

/* It is on a node that is down. What servers have for us they try to send to the old name. */
static int consume_elsewhere(struct reply_queue *queue, struct error *err)
{
    bool was_silent = silent_queues_rests(connection_silent_queues(queue->connection), queue->name,
                                          clock_now_ms());
    if (!was_silent || queue->lost_ms == 0) {
        name_queue(queue);
        return consume_replies(queue, err);
    }
    int r = choose_name(queue, err);
    return r < 0 ? r : consume_replies(queue, err);
}

int reply_queue_up(struct reply_queue *queue, struct error *err)
{
    uint64_t lost_for_ms = queue->lost_ms != 0 ? clock_now_ms() - queue->lost_ms : 0;
    if (lost_for_ms > OUTAGE_MAX_MS)
        name_queue(queue);
    struct error failure = ERROR_INIT;
    int r = consume_replies(queue, &failure);
    if (r == -EHOSTDOWN && (queue->lost_ms == 0 || lost_for_ms > NODE_STOPS_MS)) {
        failure = (struct error)ERROR_INIT;
        r = consume_elsewhere(queue, &failure);
    }
    if (r < 0) {
        *err = failure;
        return r;
    }
    queue->is_consumed = true;
    queue->lost_ms = 0;
    return 0;
}

void reply_queue_down(struct reply_queue *queue)
{
    if (queue->is_consumed)
        queue->lost_ms = clock_now_ms();
    queue->is_consumed = false;
}

void reply_queue_cancelled(struct reply_queue *queue)
{
    struct error error = ERROR_INIT;
    log_warning("the broker cancelled the consumer of %s: declaring it again", queue->name);
    if (consume_replies(queue, &error) < 0)
        connection_drop(queue->connection, error.message);
}

void reply_queue_run(struct reply_queue *queue, uint64_t now_ms)
{
    if (now_ms < reply_queue_next_ms(queue))
        return;
    struct queue_state ignored;
    struct error error = ERROR_INIT;
    int r = topology_look(queue->connection, TOPOLOGY_CHANNEL, queue->name, &ignored, &error);
    queue->look_pause_ms = earlier_ms(2 * queue->look_pause_ms, LOOK_MAX_MS);
    queue->look_ms = clock_now_ms() + queue->look_pause_ms;
    if (r != -ENOENT && r != -EHOSTDOWN)
        return;
    log_warning("the broker has lost %s without a word: connecting again, for the replies that are "
                "waited for",
                queue->name);
    connection_drop(queue->connection, error.message);
}

uint64_t reply_queue_next_ms(const struct reply_queue *queue)
{
    return queue->is_consumed ? queue->look_ms : NEVER_MS;
}

void reply_queue_end(struct reply_queue *queue)
{
    if (!queue->is_consumed)
        return;
    queue->is_consumed = false;
    delete_queue(queue);
}
