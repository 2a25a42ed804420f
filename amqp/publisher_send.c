/* SPDX-License-Identifier: Apache-2.0 */
/* What waits to be sent or confirmed: sent, put off, given up. See publisher.h. */
/* Names begin with publisher_. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "amqp/channel.h"
#include "amqp/known_targets.h"
#include "amqp/messaging_error.h"
#include "amqp/publisher_int.h"
#include "amqp/topology.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/log.h"

#define AWAY_PAUSE_MS 1000
#define AWAY_MAX_MS 5000 /* a snapshot waits meanwhile */

/* Together less than the two seconds in which a cancelled snapshot ends. */
#define CANCEL_LOOK_MS 500 /* the bus thread is not woken for it */
#define CANCELLED_MAX_MS 1000

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
