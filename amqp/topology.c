/* SPDX-License-Identifier: Apache-2.0 */
/* See topology.h. */
#include "amqp/topology.h"

#include <errno.h>
#include <stdio.h>

#include "common/cleanup.h"

#define WHAT_MAX 320

static amqp_table_entry_t integer_entry(const char *key, int64_t value)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = value},
    };
}

/* impl_rabbit.Connection.durable */
static bool is_durable(const struct rabbit_options *options)
{
    return options->amqp_durable_queues || options->rabbit_quorum_queue;
}

static int declare_exchange(struct connection *connection, const char *exchange, const char *type,
                            bool passive, bool durable, bool auto_delete, struct error *err)
{
    char what[WHAT_MAX];
    (void)snprintf(what, sizeof(what), "exchange.declare '%s'", exchange);
    (void)amqp_exchange_declare(connection_state(connection), TOPOLOGY_CHANNEL,
                                amqp_cstring_bytes(exchange), amqp_cstring_bytes(type), passive,
                                durable, auto_delete, false, amqp_empty_table);
    return connection_answered(connection, TOPOLOGY_CHANNEL, what, err);
}

/* Where a broker denies queues that are not durable, nobody can have declared one. */
static int declare_queue(struct connection *connection, const char *queue, bool passive,
                         bool durable, bool auto_delete, amqp_table_t arguments, struct error *err)
{
    durable = durable || (!passive && connection_denies_transient_queues(connection));
    char what[WHAT_MAX];
    (void)snprintf(what, sizeof(what), "queue.declare '%s'", queue);
    (void)amqp_queue_declare(connection_state(connection), TOPOLOGY_CHANNEL,
                             amqp_cstring_bytes(queue), passive, durable, false, auto_delete,
                             arguments);
    return connection_answered(connection, TOPOLOGY_CHANNEL, what, err);
}

static int bind_queue(struct connection *connection, const char *exchange, const char *queue,
                      const char *key, struct error *err)
{
    char what[WHAT_MAX];
    (void)snprintf(what, sizeof(what), "queue.bind '%s'", queue);
    (void)amqp_queue_bind(connection_state(connection), TOPOLOGY_CHANNEL, amqp_cstring_bytes(queue),
                          amqp_cstring_bytes(exchange), amqp_cstring_bytes(key), amqp_empty_table);
    return connection_answered(connection, TOPOLOGY_CHANNEL, what, err);
}

int topology_need_exchange(struct connection *connection, const struct rabbit_options *options,
                           const char *exchange, struct error *err)
{
    struct error first = ERROR_INIT;
    int r = declare_exchange(connection, exchange, "topic", true, false, false, &first);
    if (r == -ENOENT) {
        bool durable = is_durable(options);
        bool auto_delete = options->amqp_auto_delete;
        first = (struct error)ERROR_INIT;
        r = declare_exchange(connection, exchange, "topic", false, durable, auto_delete, &first);
        if (r == -EEXIST)
            return declare_exchange(connection, exchange, "topic", false, !durable, auto_delete,
                                    err);
    }
    if (r < 0)
        *err = first;
    return r;
}

#define ARGUMENTS_MAX 5

/* impl_rabbit._get_queue_arguments; `ttl_s` 0 = none. x-expires keeps a queue that nobody uses any
 * more from staying for ever. */
static amqp_table_t queue_arguments(const struct rabbit_options *options, bool is_quorum,
                                    unsigned ttl_s,
                                    amqp_table_entry_t entries[static ARGUMENTS_MAX])
{
    amqp_table_t arguments = {.num_entries = 0, .entries = entries};
    if (is_quorum)
        entries[arguments.num_entries++] = (amqp_table_entry_t){
            .key = amqp_cstring_bytes("x-queue-type"),
            .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("quorum")},
        };
    const struct {
        const char *key;
        int64_t value;
    } limits[] = {
        {"x-delivery-limit", is_quorum ? options->rabbit_quorum_delivery_limit : 0},
        {"x-max-in-memory-length", is_quorum ? options->rabbit_quorum_max_memory_length : 0},
        {"x-max-in-memory-bytes", is_quorum ? options->rabbit_quorum_max_memory_bytes : 0},
        {"x-expires", (int64_t)ttl_s * 1000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        if (limits[i].value > 0)
            entries[arguments.num_entries++] = integer_entry(limits[i].key, limits[i].value);
    return arguments;
}

static int declare_topic_queue(struct connection *connection, const struct rabbit_options *options,
                               const char *queue, struct error *err)
{
    amqp_table_entry_t entries[ARGUMENTS_MAX];
    amqp_table_t arguments = queue_arguments(options, options->rabbit_quorum_queue, 0, entries);
    bool durable = is_durable(options);
    bool auto_delete = options->amqp_auto_delete;
    struct error first = ERROR_INIT;
    int r = declare_queue(connection, queue, true, false, false, amqp_empty_table, &first);
    if (r == -ENOENT) {
        first = (struct error)ERROR_INIT;
        r = declare_queue(connection, queue, false, durable, auto_delete, arguments, &first);
        if (r == -EEXIST)
            return declare_queue(connection, queue, false, !durable, auto_delete, arguments, err);
    }
    if (r < 0)
        *err = first;
    return r;
}

int topology_need_queue(struct connection *connection, const struct rabbit_options *options,
                        const char *exchange, const char *queue, struct error *err)
{
    int r = topology_need_exchange(connection, options, exchange, err);
    if (r == 0)
        r = declare_topic_queue(connection, options, queue, err);
    return r < 0 ? r : bind_queue(connection, exchange, queue, queue, err);
}

static int declare_transient_queue(struct connection *connection,
                                   const struct rabbit_options *options, const char *queue,
                                   struct error *err)
{
    bool is_quorum = options->rabbit_transient_quorum_queue;
    amqp_table_entry_t entries[ARGUMENTS_MAX];
    const amqp_table_t arguments =
        queue_arguments(options, is_quorum, options->rabbit_transient_queues_ttl_s, entries);
    return declare_queue(connection, queue, false, is_quorum, false, arguments, err);
}

int topology_need_fanout(struct connection *connection, const struct rabbit_options *options,
                         const char *topic, const char *queue, struct error *err)
{
    char exchange[WHAT_MAX];
    (void)snprintf(exchange, sizeof(exchange), "%s_fanout", topic);
    /* As declare_fanout_consumer(); a stream, too, takes from it, and we from a queue of our own.
     */
    bool durable = options->rabbit_transient_quorum_queue || options->rabbit_stream_fanout;
    struct error first = ERROR_INIT;
    int r = declare_exchange(connection, exchange, "fanout", true, false, false, &first);
    if (r == -ENOENT) {
        first = (struct error)ERROR_INIT;
        r = declare_exchange(connection, exchange, "fanout", false, durable, true, &first);
        if (r == -EEXIST) /* somebody was faster who has it otherwise */
            r = declare_exchange(connection, exchange, "fanout", false, !durable, true, &first);
    }
    if (r < 0) {
        *err = first;
        return r;
    }
    r = declare_transient_queue(connection, options, queue, err);
    return r < 0 ? r : bind_queue(connection, exchange, queue, topic, err);
}

int topology_need_reply_queue(struct connection *connection, const struct rabbit_options *options,
                              const char *queue, struct error *err)
{
    return declare_transient_queue(connection, options, queue, err);
}

int topology_look(struct connection *connection, amqp_channel_t channel, const char *queue,
                  struct queue_state *ret_state, struct error *err)
{
    char what[WHAT_MAX];
    (void)snprintf(what, sizeof(what), "queue.declare '%s'", queue);
    const amqp_queue_declare_ok_t *ok =
        amqp_queue_declare(connection_state(connection), channel, amqp_cstring_bytes(queue), true,
                           false, false, false, amqp_empty_table);
    int r = connection_answered(connection, channel, what, err);
    if (r < 0)
        return r;
    *ret_state = (struct queue_state){.consumers = ok->consumer_count, .ready = ok->message_count};
    return 0;
}
