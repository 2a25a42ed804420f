/* SPDX-License-Identifier: Apache-2.0 */
/* See topology.h. */
#include "amqp/topology.h"

#include <errno.h>
#include <stdio.h>

#include "amqp/channel.h"
#include "amqp/table_entry.h"
#include "common/cleanup.h"
#include "common/log.h"

#define WHAT_MAX 320

/* impl_rabbit.Connection.durable */
static bool is_durable(const struct rabbit_options *options)
{
    return options->amqp_durable_queues || options->rabbit_quorum_queue;
}

/* What is declared when it is missing. */
struct wanted_exchange {
    const char *name;
    const char *type;
    bool durable;
    bool auto_delete;
};

/* Asks for it without changing anything. */
static int find_exchange(struct connection *connection, const struct wanted_exchange *wanted,
                         struct error *err)
{
    char what[WHAT_MAX];
    (void)snprintf(what, sizeof(what), "exchange.declare '%s'", wanted->name);
    (void)amqp_exchange_declare(connection_state(connection), TOPOLOGY_CHANNEL,
                                amqp_cstring_bytes(wanted->name), amqp_cstring_bytes(wanted->type),
                                true, false, false, false, amqp_empty_table);
    return channel_answered(connection, TOPOLOGY_CHANNEL, what, err);
}

static int declare_exchange(struct connection *connection, const struct wanted_exchange *wanted,
                            struct error *err)
{
    char what[WHAT_MAX];
    (void)snprintf(what, sizeof(what), "exchange.declare '%s'", wanted->name);
    log_debug("declaring %s exchange %s, durable=%d auto_delete=%d", wanted->type, wanted->name,
              wanted->durable, wanted->auto_delete);
    (void)amqp_exchange_declare(connection_state(connection), TOPOLOGY_CHANNEL,
                                amqp_cstring_bytes(wanted->name), amqp_cstring_bytes(wanted->type),
                                false, wanted->durable, wanted->auto_delete, false,
                                amqp_empty_table);
    return channel_answered(connection, TOPOLOGY_CHANNEL, what, err);
}

/* Somebody else may declare it between our two questions, and otherwise than we would. */
static int need_exchange(struct connection *connection, struct wanted_exchange wanted,
                         struct error *err)
{
    struct error missing = ERROR_INIT, differs = ERROR_INIT;
    int r = find_exchange(connection, &wanted, &missing);
    if (r == 0)
        return 0;
    if (r != -ENOENT) {
        *err = missing;
        return r;
    }
    r = declare_exchange(connection, &wanted, &differs);
    if (r == -EEXIST) {
        wanted.durable = !wanted.durable;
        return declare_exchange(connection, &wanted, err);
    }
    if (r < 0)
        *err = differs;
    return r;
}

static int find_queue(struct connection *connection, const char *queue, struct error *err)
{
    struct queue_state ignored;
    return topology_look(connection, TOPOLOGY_CHANNEL, queue, &ignored, err);
}

/* Where a broker denies queues that are not durable, nobody can have declared one. */
static int declare_queue(struct connection *connection, struct queue_declaration wanted,
                         struct error *err)
{
    struct queue_state ignored;
    wanted.durable |= connection_denies_transient_queues(connection);
    log_debug("declaring queue %s, durable=%d auto_delete=%d", wanted.name, wanted.durable,
              wanted.auto_delete);
    return queue_declare(connection, TOPOLOGY_CHANNEL, &wanted, &ignored, err);
}

/* See need_exchange(). */
static int need_queue(struct connection *connection, struct queue_declaration wanted,
                      struct error *err)
{
    struct error missing = ERROR_INIT, differs = ERROR_INIT;
    int r = find_queue(connection, wanted.name, &missing);
    if (r == 0)
        return 0;
    if (r != -ENOENT) {
        *err = missing;
        return r;
    }
    r = declare_queue(connection, wanted, &differs);
    if (r == -EEXIST) {
        wanted.durable = !wanted.durable;
        return declare_queue(connection, wanted, err);
    }
    if (r < 0)
        *err = differs;
    return r;
}

static int bind_queue(struct connection *connection, const char *exchange, const char *queue,
                      const char *key, struct error *err)
{
    char what[WHAT_MAX];
    (void)snprintf(what, sizeof(what), "queue.bind '%s'", queue);
    (void)amqp_queue_bind(connection_state(connection), TOPOLOGY_CHANNEL, amqp_cstring_bytes(queue),
                          amqp_cstring_bytes(exchange), amqp_cstring_bytes(key), amqp_empty_table);
    return channel_answered(connection, TOPOLOGY_CHANNEL, what, err);
}

int topology_need_exchange(struct connection *connection, const struct rabbit_options *options,
                           const char *exchange, struct error *err)
{
    const struct wanted_exchange wanted = {.name = exchange,
                                           .type = "topic",
                                           .durable = is_durable(options),
                                           .auto_delete = options->amqp_auto_delete};
    return need_exchange(connection, wanted, err);
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
        entries[arguments.num_entries++] = table_entry_text("x-queue-type", "quorum");
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
            entries[arguments.num_entries++] = table_entry_int64(limits[i].key, limits[i].value);
    return arguments;
}

int topology_need_queue(struct connection *connection, const struct rabbit_options *options,
                        const char *exchange, const char *queue, struct error *err)
{
    amqp_table_entry_t entries[ARGUMENTS_MAX];
    const struct queue_declaration wanted = {
        .name = queue,
        .durable = is_durable(options),
        .auto_delete = options->amqp_auto_delete,
        .arguments = queue_arguments(options, options->rabbit_quorum_queue, 0, entries)};
    int r = topology_need_exchange(connection, options, exchange, err);
    if (r < 0)
        return r;
    r = need_queue(connection, wanted, err);
    return r < 0 ? r : bind_queue(connection, exchange, queue, queue, err);
}

static int declare_transient_queue(struct connection *connection,
                                   const struct rabbit_options *options, const char *queue,
                                   struct error *err)
{
    bool is_quorum = options->rabbit_transient_quorum_queue;
    amqp_table_entry_t entries[ARGUMENTS_MAX];
    const struct queue_declaration wanted = {
        .name = queue,
        .durable = is_quorum,
        .arguments =
            queue_arguments(options, is_quorum, options->rabbit_transient_queues_ttl_s, entries)};
    return declare_queue(connection, wanted, err);
}

int topology_need_fanout(struct connection *connection, const struct rabbit_options *options,
                         const char *topic, const char *queue, struct error *err)
{
    char exchange[WHAT_MAX];
    (void)snprintf(exchange, sizeof(exchange), "%s_fanout", topic);
    /* As declare_fanout_consumer(); a stream, too, takes from it, and we from a queue of our own.
     */
    const struct wanted_exchange wanted = {.name = exchange,
                                           .type = "fanout",
                                           .durable = options->rabbit_transient_quorum_queue ||
                                                      options->rabbit_stream_fanout,
                                           .auto_delete = true};
    int r = need_exchange(connection, wanted, err);
    if (r < 0)
        return r;
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
    const struct queue_declaration wanted = {
        .name = queue, .passive = true, .arguments = amqp_empty_table};
    return queue_declare(connection, channel, &wanted, ret_state, err);
}
