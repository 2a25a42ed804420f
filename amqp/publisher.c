/* SPDX-License-Identifier: Apache-2.0 */
/* See publisher.h. */
#include "amqp/publisher.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/channel.h"
#include "amqp/known_targets.h"
#include "amqp/messaging_error.h"
#include "amqp/topology.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/log.h"

#define NACK_PAUSE_MS 250
#define AWAY_PAUSE_MS 1000
#define AWAY_MAX_MS 5000 /* a snapshot waits meanwhile */

/* Together less than the two seconds in which a cancelled snapshot ends. */
#define CANCEL_LOOK_MS 500 /* the bus thread is not woken for it */
#define CANCELLED_MAX_MS 1000

TAILQ_HEAD(publication_list, publication);

struct publisher {
    struct connection *connection;
    const struct rabbit_options *options;
    struct publication_list queued;
    struct publication_list sent; /* by delivery tag */
    uint64_t last_delivery_tag;
    struct known_target *known; /* made sure of on the present connection */
};

static int need_target(struct publisher *publisher, const struct publication *publication,
                       struct error *err)
{
    const char *exchange = publication->exchange;
    const char *queue = publication->with_queue ? publication->routing_key : NULL;
    if (exchange[0] == '\0' || known_targets_have(publisher->known, exchange, queue))
        return 0;
    int r =
        queue ? topology_need_queue(publisher->connection, publisher->options, exchange, queue, err)
              : topology_need_exchange(publisher->connection, publisher->options, exchange, err);
    return r < 0 ? r : known_targets_add(&publisher->known, exchange, queue, err);
}

static void take_off_list(struct publisher *publisher, struct publication *publication)
{
    if (publication->phase == PUBLICATION_QUEUED)
        TAILQ_REMOVE(&publisher->queued, publication, link);
    else if (publication->phase == PUBLICATION_SENT)
        TAILQ_REMOVE(&publisher->sent, publication, link);
    publication->phase = PUBLICATION_IDLE;
    free(publication->body);
    publication->body = NULL;
}

static void finish_publication(struct publisher *publisher, struct publication *publication,
                               enum publication_outcome outcome, const struct error *error)
{
    take_off_list(publisher, publication);
    publication->finished(publication, outcome, error);
}

void publisher_submit(struct publisher *publisher, struct publication *publication)
{
    publication->phase = PUBLICATION_QUEUED;
    publication->body = NULL;
    publication->returned = false;
    publication->refusal = (struct error)ERROR_INIT;
    TAILQ_INSERT_TAIL(&publisher->queued, publication, link);
}

void publisher_withdraw(struct publisher *publisher, struct publication *publication)
{
    take_off_list(publisher, publication);
}

static int publish_message(struct publisher *publisher, const struct publication *publication,
                           uint64_t now_ms)
{
    char expiration[24];
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
                  AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                  AMQP_BASIC_PRIORITY_FLAG,
        .content_type = amqp_cstring_bytes("application/json"),
        .content_encoding = amqp_cstring_bytes("utf-8"),
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
    };
    if (publication->expires) {
        (void)snprintf(expiration, sizeof(expiration), "%" PRIu64,
                       publication->deadline_ms - now_ms);
        properties._flags |= AMQP_BASIC_EXPIRATION_FLAG;
        properties.expiration = amqp_cstring_bytes(expiration);
    }
    const amqp_bytes_t body = {.len = publication->length, .bytes = publication->body};
    return amqp_basic_publish(connection_state(publisher->connection), PUBLISH_CHANNEL,
                              amqp_cstring_bytes(publication->exchange),
                              amqp_cstring_bytes(publication->routing_key), publication->mandatory,
                              false, &properties, body);
}

/* A failed write leaves an unfinished message that the broker throws away: it stays queued. */
static int send_publication(struct publisher *publisher, struct publication *publication,
                            uint64_t now_ms, struct error *err)
{
    int r = need_target(publisher, publication, err);
    if (r < 0)
        return r;
    free(publication->body);
    publication->body = NULL;
    r = publication->pack(publication, &publication->body, &publication->length, err);
    if (r < 0)
        return r;
    r = channel_sent(publisher->connection, publish_message(publisher, publication, now_ms),
                     "basic.publish", err);
    if (r < 0)
        return r;
    TAILQ_REMOVE(&publisher->queued, publication, link);
    publication->phase = PUBLICATION_SENT;
    publication->delivery_tag = ++publisher->last_delivery_tag;
    TAILQ_INSERT_TAIL(&publisher->sent, publication, link);
    return 0;
}

static void time_out_publication(struct publisher *publisher, struct publication *publication)
{
    struct error error = ERROR_INIT;
    const char *trouble = connection_trouble(publisher->connection);
    if (trouble[0] == '\0' && publication->refusal.errnum != 0)
        trouble = publication->refusal.message;
    if (publication->phase == PUBLICATION_SENT)
        (void)messaging_error(&error, ETIMEDOUT, EXC_MESSAGE_DELIVERY_FAILURE,
                              "the broker did not confirm a message to '%s' in time",
                              publication->routing_key);
    else
        (void)messaging_error(&error, ETIMEDOUT, EXC_MESSAGE_DELIVERY_FAILURE,
                              "a message to '%s' could not be sent in time%s%s",
                              publication->routing_key, trouble[0] != '\0' ? ": " : "", trouble);
    finish_publication(publisher, publication, PUBLICATION_FAILED, &error);
}

/* For so long that what can be sent is sent. Who has entered a cancel is told its reason, so this
 * thread enters it to ask. */
static bool is_cancelled(struct publication *publication, uint64_t now_ms, struct error *ret_reason)
{
    struct cancel *before = cancel_enter(publication->cancel);
    bool is_requested = cancel_check(ret_reason) < 0;
    (void)cancel_enter(before);
    if (is_requested && publication->cancelled_ms == 0)
        publication->cancelled_ms = now_ms;
    return is_requested && now_ms >= publication->cancelled_ms + CANCELLED_MAX_MS;
}

static void give_up_late(struct publisher *publisher, struct publication_list *list,
                         uint64_t now_ms)
{
    struct publication *next;
    for (struct publication *publication = TAILQ_FIRST(list); publication; publication = next) {
        next = TAILQ_NEXT(publication, link);
        struct error reason = ERROR_INIT;
        if (is_cancelled(publication, now_ms, &reason))
            finish_publication(publisher, publication, PUBLICATION_FAILED, &reason);
        else if (now_ms >= publication->deadline_ms)
            time_out_publication(publisher, publication);
    }
}

/* Its queue's node may be back soon; oslo tries for ever. */
static void put_off(struct publisher *publisher, struct publication *publication,
                    const struct error *refusal, uint64_t now_ms)
{
    if (publication->refusal.errnum == 0)
        publication->refused_ms = now_ms;
    publication->refusal = *refusal;
    if (now_ms >= publication->refused_ms + AWAY_MAX_MS) {
        time_out_publication(publisher, publication);
        return;
    }
    log_debug("a message to '%s' waits: %s", publication->routing_key, refusal->message);
    publication->not_before_ms = now_ms + AWAY_PAUSE_MS;
}

static void send_queued(struct publisher *publisher, uint64_t now_ms)
{
    struct publication *next;
    for (struct publication *publication = TAILQ_FIRST(&publisher->queued); publication;
         publication = next) {
        next = TAILQ_NEXT(publication, link);
        if (!connection_is_up(publisher->connection) ||
            connection_is_blocked(publisher->connection))
            return;
        if (publication->not_before_ms > now_ms)
            continue;
        struct error error = ERROR_INIT;
        int r = send_publication(publisher, publication, now_ms, &error);
        if (r == -EHOSTDOWN)
            put_off(publisher, publication, &error, now_ms);
        else if (r < 0 && connection_is_up(publisher->connection))
            finish_publication(publisher, publication, PUBLICATION_FAILED, &error);
    }
}

void publisher_run(struct publisher *publisher, uint64_t now_ms)
{
    connection_run(publisher->connection, now_ms);
    give_up_late(publisher, &publisher->queued, now_ms);
    give_up_late(publisher, &publisher->sent, now_ms);
    send_queued(publisher, now_ms);
}

static uint64_t give_up_ms(const struct publication *publication)
{
    return publication->cancel
               ? earlier_ms(publication->deadline_ms, clock_now_ms() + CANCEL_LOOK_MS)
               : publication->deadline_ms;
}

uint64_t publisher_next_ms(const struct publisher *publisher)
{
    uint64_t next_ms = connection_next_ms(publisher->connection);
    bool can_send =
        connection_is_up(publisher->connection) && !connection_is_blocked(publisher->connection);
    const struct publication *publication;
    TAILQ_FOREACH(publication, &publisher->queued, link)
    {
        next_ms = earlier_ms(next_ms, give_up_ms(publication));
        if (can_send)
            next_ms = earlier_ms(next_ms, publication->not_before_ms);
    }
    TAILQ_FOREACH(publication, &publisher->sent, link)
    next_ms = earlier_ms(next_ms, give_up_ms(publication));
    return next_ms;
}

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
