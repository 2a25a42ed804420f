/* SPDX-License-Identifier: Apache-2.0 */
/* See publisher.h. */
#include "amqp/publisher.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/channel.h"
#include "amqp/known_targets.h"
#include "amqp/messaging_error.h"
#include "amqp/publisher_int.h"
#include "common/clock.h"
#include "common/log.h"

#define NACK_PAUSE_MS 250

static int publisher_up(void *arg, struct error *err)
{
    struct publisher *publisher = arg;
    publisher->last_delivery_tag = 0;
    (void)amqp_confirm_select(connection_state(publisher->connection), PUBLISH_CHANNEL);
    return channel_answered(publisher->connection, PUBLISH_CHANNEL, "confirm.select", err);
}

/* Sent again, it would cost the connection again. */
static bool refuse_too_large(struct publisher *publisher, struct publication *publication)
{
    uint64_t max_bytes = connection_max_message_bytes(publisher->connection);
    struct error error = ERROR_INIT;
    if (max_bytes == 0 || publication->length <= max_bytes)
        return false;
    (void)error_set(&error, EMSGSIZE, EXC_INTERNAL_ERROR,
                    "a message of %zu bytes to '%s' is larger than the broker's max_message_size "
                    "of %" PRIu64,
                    publication->length, publication->routing_key, max_bytes);
    finish_publication(publisher, publication, PUBLICATION_FAILED, &error);
    return true;
}

static void publisher_down(void *arg)
{
    struct publisher *publisher = arg;
    known_targets_clear(&publisher->known);
    struct error error = ERROR_INIT;
    (void)messaging_error(&error, ECONNRESET, EXC_MESSAGE_DELIVERY_FAILURE, "connection %s",
                          connection_trouble(publisher->connection));
    /* Aside first: finished() may submit it again at once. */
    struct publication_list lost = TAILQ_HEAD_INITIALIZER(lost);
    TAILQ_CONCAT(&lost, &publisher->sent, link);
    struct publication *publication;
    while ((publication = TAILQ_FIRST(&lost))) {
        TAILQ_REMOVE(&lost, publication, link);
        publication->phase = PUBLICATION_IDLE;
        if (refuse_too_large(publisher, publication))
            continue;
        log_debug("the connection was lost before a message to '%s' was confirmed",
                  publication->routing_key);
        finish_publication(publisher, publication, PUBLICATION_UNCERTAIN, &error);
    }
}

/* basic.return comes before the message's confirm; its body tells which message it was. */
static void publisher_content(void *arg, const struct amqp_content *content)
{
    struct publisher *publisher = arg;
    struct publication *publication;
    TAILQ_FOREACH(publication, &publisher->sent, link)
    {
        if (content->returned && publication->length == content->length &&
            memcmp(publication->body, content->body, content->length) == 0) {
            publication->returned = true;
            return;
        }
    }
}

static void settle_publication(struct publisher *publisher, struct publication *publication,
                               bool acked)
{
    if (!acked) { /* the broker did not take it: try again */
        log_debug("the broker refused a message to '%s': sending it again in %d ms",
                  publication->routing_key, NACK_PAUSE_MS);
        take_off_list(publisher, publication);
        publication->not_before_ms = clock_now_ms() + NACK_PAUSE_MS;
        publisher_submit(publisher, publication);
        return;
    }
    struct error error = ERROR_INIT;
    if (publication->returned) {
        (void)messaging_error(&error, ENOENT, "MessageUndeliverable", "there is no queue '%s'",
                              publication->routing_key);
        finish_publication(publisher, publication, PUBLICATION_UNROUTABLE, &error);
        return;
    }
    finish_publication(publisher, publication, PUBLICATION_CONFIRMED, &error);
}

static void take_confirm(struct publisher *publisher, uint64_t delivery_tag, bool multiple,
                         bool acked)
{
    struct publication *next;
    for (struct publication *publication = TAILQ_FIRST(&publisher->sent); publication;
         publication = next) {
        next = TAILQ_NEXT(publication, link);
        if (publication->delivery_tag > delivery_tag)
            return;
        if (multiple || publication->delivery_tag == delivery_tag)
            settle_publication(publisher, publication, acked);
    }
}

static void publisher_method(void *arg, amqp_channel_t channel, const amqp_method_t *method)
{
    struct publisher *publisher = arg;
    if (channel != PUBLISH_CHANNEL)
        return;
    if (method->id == AMQP_BASIC_ACK_METHOD) {
        const amqp_basic_ack_t *ack = method->decoded;
        take_confirm(publisher, ack->delivery_tag, ack->multiple, true);
    } else if (method->id == AMQP_BASIC_NACK_METHOD) {
        const amqp_basic_nack_t *nack = method->decoded;
        take_confirm(publisher, nack->delivery_tag, nack->multiple, false);
    }
}

struct publisher *publisher_new(const struct transport_url *url,
                                const struct rabbit_options *options, const char *purpose,
                                int wake_fd, const struct connection *speaker)
{
    static const struct connection_ops ops = {
        .up = publisher_up,
        .down = publisher_down,
        .content = publisher_content,
        .method = publisher_method,
    };
    static const amqp_channel_t channels[] = {PUBLISH_CHANNEL, TOPOLOGY_CHANNEL, 0};
    struct publisher *publisher = calloc(1, sizeof(*publisher));
    if (!publisher)
        return NULL;
    const struct connection_setup setup = {.url = url,
                                           .options = options,
                                           .purpose = purpose,
                                           .wake_fd = wake_fd,
                                           .channels = channels,
                                           .speaker = speaker,
                                           .ops = &ops,
                                           .arg = publisher};
    publisher->options = options;
    TAILQ_INIT(&publisher->queued);
    TAILQ_INIT(&publisher->sent);
    publisher->connection = connection_new(&setup);
    if (!publisher->connection) {
        free(publisher);
        return NULL;
    }
    return publisher;
}

struct connection *publisher_connection(struct publisher *publisher)
{
    return publisher->connection;
}

void publisher_free(struct publisher *publisher)
{
    if (!publisher)
        return;
    struct error error = ERROR_INIT;
    (void)messaging_error(&error, ECANCELED, EXC_MESSAGE_DELIVERY_FAILURE, "the bus is stopping");
    struct publication *publication;
    while ((publication = TAILQ_FIRST(&publisher->sent)) ||
           (publication = TAILQ_FIRST(&publisher->queued)))
        finish_publication(publisher, publication, PUBLICATION_FAILED, &error);
    known_targets_clear(&publisher->known);
    connection_free(publisher->connection);
    free(publisher);
}
