/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See rpc_client.h.
 *
 * A call is published at most once for certain: again only when the broker said no, never had all
 * of it or had no queue for it, as while the conductor is restarted. A call whose confirm was lost
 * with the connection waits for its reply until its deadline, because a save that is executed twice
 * is worse than one that is reported late.
 */
#include "amqp/rpc_client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/channel.h"
#include "amqp/container.h"
#include "amqp/messaging_error.h"
#include "amqp/oslo_message.h"
#include "amqp/reply_queue.h"
#include "amqp/rpc_request.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"

#define UNROUTABLE_PAUSE_MS 250

enum call_phase {
    CALL_WAITING,   /* for the reply queue */
    CALL_SENDING,   /* in the publisher's hands */
    CALL_PUBLISHED, /* or perhaps published */
};

struct call {
    struct bus_work work;
    struct publication publication;
    TAILQ_ENTRY(call) link;
    struct rpc_client *client; /* looked into by the bus thread only */
    enum call_phase phase;
    const char *method;
    json_t *message;
    uint64_t deadline_ms;
    char msg_id[ID_HEX_SIZE];
    json_t *result;
    bool unroutable; /* when it was sent last */
    bool failed;     /* `failure` is the answer */
    struct error failure;
};

TAILQ_HEAD(call_list, call);

struct rpc_client {
    struct connection *consuming;
    struct publisher *publisher;
    struct call_list calls;
    struct reply_queue reply_queue;
};

static void finish_call(struct call *call, int result, const struct error *error)
{
    struct rpc_client *client = call->client;
    TAILQ_REMOVE(&client->calls, call, link);
    if (call->phase == CALL_SENDING)
        publisher_withdraw(client->publisher, &call->publication);
    bus_work_done(&call->work, result, error);
}

static int pack_call(struct publication *publication, char **ret_body, size_t *ret_length,
                     struct error *err)
{
    struct call *call = CONTAINER_OF(publication, struct call, publication);
    char unique_id[ID_HEX_SIZE];
    id_new_hex(unique_id);
    if (json_object_set_new(call->message, "_msg_id", json_string(call->msg_id)) < 0 ||
        json_object_set_new(call->message, "_reply_q",
                            json_string(call->client->reply_queue.name)) < 0 ||
        json_object_set_new(call->message, "_unique_id", json_string(unique_id)) < 0)
        return error_nomem(err);
    return oslo_message_pack(call->message, true, ret_body, ret_length, err);
}

/* The queue that its reply was to come to has another name by now. */
static bool lost_its_queue(const struct call *call)
{
    const char *reply_q = json_string_value(json_object_get(call->message, "_reply_q"));
    return reply_q && strcmp(reply_q, call->client->reply_queue.name) != 0;
}

static void call_timed_out(struct call *call)
{
    struct error error = ERROR_INIT;
    const struct rpc_client *client = call->client;
    const char *trouble =
        connection_trouble(client->reply_queue.is_consumed ? publisher_connection(client->publisher)
                                                           : client->consuming);
    if (trouble[0] == '\0' && call->unroutable)
        trouble = "nobody serves its topic";
    else if (trouble[0] == '\0' && call->publication.phase == PUBLICATION_SENT)
        trouble = "the broker did not confirm it";
    if (call->phase == CALL_PUBLISHED)
        (void)messaging_error(
            &error, ETIMEDOUT, EXC_MESSAGING_TIMEOUT,
            "Timed out waiting for a reply to message ID %s (%s)%s", call->msg_id, call->method,
            lost_its_queue(call) ? ": the queue for it was lost in an outage" : "");
    else
        (void)messaging_error(&error, ETIMEDOUT, EXC_MESSAGING_TIMEOUT,
                              "%s could not be sent in time%s%s", call->method,
                              trouble[0] != '\0' ? ": " : "", trouble);
    finish_call(call, -ETIMEDOUT, &error);
}

static void call_published(struct publication *publication, enum publication_outcome outcome,
                           const struct error *error)
{
    struct call *call = CONTAINER_OF(publication, struct call, publication);
    if (outcome == PUBLICATION_UNROUTABLE) {
        log_debug("nobody serves %s: message ID %s is sent again in %d ms",
                  publication->routing_key, call->msg_id, UNROUTABLE_PAUSE_MS);
        call->unroutable = true;
        publication->not_before_ms = clock_now_ms() + UNROUTABLE_PAUSE_MS;
        publisher_submit(call->client->publisher, publication);
        return;
    }
    call->phase = CALL_PUBLISHED;
    if (outcome == PUBLICATION_UNCERTAIN)
        log_warning("the connection was lost before message ID %s (%s) was confirmed: waiting for "
                    "its reply, not sending it again",
                    call->msg_id, call->method);
    if (outcome != PUBLICATION_FAILED)
        return;
    if (error->errnum == ETIMEDOUT)
        call_timed_out(call);
    else
        finish_call(call, -error->errnum, error);
}

static void send_call(struct call *call)
{
    call->phase = CALL_SENDING;
    publisher_submit(call->client->publisher, &call->publication);
}

static void start_call(struct bus_work *work)
{
    struct call *call = CONTAINER_OF(work, struct call, work);
    struct rpc_client *client = call->client;
    TAILQ_INSERT_TAIL(&client->calls, call, link);
    if (client->reply_queue.is_consumed)
        send_call(call);
    else
        log_debug("message ID %s (%s) waits for the connection", call->msg_id, call->method);
}

static void log_answer(const struct call *call, const char *topic, uint64_t start_ms, int r,
                       const struct error *err)
{
    uint64_t took_ms = clock_now_ms() - start_ms;
    if (r == 0)
        log_debug("%s of %s answered after %" PRIu64 " ms (message ID %s)", call->method, topic,
                  took_ms, call->msg_id);
    else
        log_debug("%s of %s failed after %" PRIu64 " ms (message ID %s): %s", call->method, topic,
                  took_ms, call->msg_id, err->exc);
}

int rpc_client_call(struct rpc_client *client, struct bus_work_queue *works,
                    const struct bus_settings *settings, const struct rpc_call *wanted,
                    json_t **ret_result, struct error *err)
{
    unsigned timeout_ms =
        wanted->timeout_ms > 0 ? wanted->timeout_ms : seconds_ms(settings->rpc_response_timeout_s);
    uint64_t start_ms = clock_now_ms();
    struct call call = {
        .work.start = start_call,
        .publication = {.exchange = settings->control_exchange,
                        .routing_key = wanted->topic,
                        .mandatory = true,
                        .expires = true,
                        .deadline_ms = start_ms + timeout_ms,
                        .pack = pack_call,
                        .finished = call_published},
        .client = client,
        .method = wanted->method,
        .deadline_ms = start_ms + timeout_ms,
    };
    id_new_hex(call.msg_id);
    int r = rpc_request_message(wanted->method, wanted->version, wanted->context, wanted->args,
                                &call.message, err);
    if (r < 0)
        return r;
    log_debug("calling %s of %s, message ID %s, within %u ms", wanted->method, wanted->topic,
              call.msg_id, timeout_ms);
    r = bus_work_run(works, &call.work, err);
    log_answer(&call, wanted->topic, start_ms, r, err);
    json_decref(call.message);
    if (r < 0) {
        json_decref(call.result);
        return r;
    }
    *ret_result = call.result ? call.result : json_null();
    return 0;
}

static struct call *find_call(const struct rpc_client *client, const char *msg_id)
{
    struct call *call;
    TAILQ_FOREACH(call, &client->calls, link)
    {
        if (strcmp(call->msg_id, msg_id) == 0)
            return call;
    }
    return NULL;
}

/*
 * What a reply carries is kept until the one that ends the call (ReplyWaiter.wait). The result is
 * taken out: no value may be shared with the thread that gets it.
 */
static void keep_answer(struct call *call, json_t *message)
{
    const char *failure = json_string_value(json_object_get(message, "failure"));
    json_t *result = json_object_get(message, "result");
    struct error bad = ERROR_INIT;
    if (failure && failure[0] != '\0') {
        call->failed = true;
        if (rpc_failure_unpack(failure, &call->failure, &bad) < 0)
            call->failure = bad;
    } else if (result && !json_is_null(result)) {
        json_decref(call->result);
        call->result = json_incref(result);
        (void)json_object_del(message, "result");
    }
}

static void take_reply(struct rpc_client *client, json_t *message)
{
    const char *msg_id = json_string_value(json_object_get(message, "_msg_id"));
    struct call *call = msg_id ? find_call(client, msg_id) : NULL;
    if (!call) {
        log_info("a reply to message ID %.64s is dropped: no call waits for it",
                 msg_id ? msg_id : "(none)");
        return;
    }
    keep_answer(call, message);
    if (!json_is_true(json_object_get(message, "ending")))
        return;
    if (call->failed)
        finish_call(call, -call->failure.errnum, &call->failure);
    else
        finish_call(call, 0, NULL);
}

void rpc_client_reply(struct rpc_client *client, const struct amqp_content *content)
{
    struct error error = ERROR_INIT;
    struct connection *connection = client->consuming;
    int status =
        amqp_basic_ack(connection_state(connection), REPLY_CHANNEL, content->delivery_tag, false);
    (void)channel_sent(connection, status, "basic.ack", &error);
    json_t *message = NULL;
    int r;
    if (!content->is_plain_json || content->length < content->size_bytes)
        r = error_set(&error, EBADMSG, EXC_INTERNAL_ERROR,
                      "not plain JSON of at most %u bytes (kombu_compression is not supported)",
                      OSLO_BODY_MAX_BYTES);
    else
        r = oslo_message_unpack(content->body, content->length, &message, &error);
    if (r < 0) {
        log_error("a reply cannot be read, its call will time out: %s", error.message);
        return;
    }
    take_reply(client, message);
    json_decref(message);
}

int rpc_client_up(struct rpc_client *client, struct error *err)
{
    int r = reply_queue_up(&client->reply_queue, err);
    if (r < 0)
        return r;
    struct call *call;
    TAILQ_FOREACH(call, &client->calls, link)
    {
        if (call->phase == CALL_WAITING)
            send_call(call);
    }
    return 0;
}

void rpc_client_down(struct rpc_client *client)
{
    reply_queue_down(&client->reply_queue);
}

void rpc_client_cancelled(struct rpc_client *client)
{
    reply_queue_cancelled(&client->reply_queue);
}

void rpc_client_run(struct rpc_client *client, uint64_t now_ms)
{
    reply_queue_run(&client->reply_queue, now_ms);
    struct call *next;
    for (struct call *call = TAILQ_FIRST(&client->calls); call; call = next) {
        next = TAILQ_NEXT(call, link);
        if (now_ms >= call->deadline_ms)
            call_timed_out(call);
    }
}

uint64_t rpc_client_next_ms(const struct rpc_client *client)
{
    uint64_t next_ms = reply_queue_next_ms(&client->reply_queue);
    const struct call *call;
    TAILQ_FOREACH(call, &client->calls, link)
    next_ms = earlier_ms(next_ms, call->deadline_ms);
    return next_ms;
}

struct rpc_client *rpc_client_new(const struct bus_settings *settings, struct connection *consuming,
                                  struct publisher *publisher)
{
    struct rpc_client *client = calloc(1, sizeof(*client));
    if (!client)
        return NULL;
    client->consuming = consuming;
    client->publisher = publisher;
    TAILQ_INIT(&client->calls);
    reply_queue_init(&client->reply_queue, consuming, &settings->rabbit);
    return client;
}

void rpc_client_free(struct rpc_client *client)
{
    if (!client)
        return;
    struct error error = ERROR_INIT;
    (void)messaging_error(&error, ECANCELED, EXC_MESSAGE_DELIVERY_FAILURE, "the bus is stopping");
    struct call *call;
    if (TAILQ_EMPTY(&client->calls)) /* else a server would look for it, for a minute */
        reply_queue_end(&client->reply_queue);
    while ((call = TAILQ_FIRST(&client->calls)))
        finish_call(call, -ECANCELED, &error);
    free(client);
}
