/* SPDX-License-Identifier: Apache-2.0 */
/* See replies.h. */
#include "amqp/replies.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/oslo_message.h"
#include "amqp/rpc.h"
#include "common/clock.h"
#include "common/log.h"

#define RETRY_PAUSE_MS 250
#define OBSOLETE_MS 60000 /* ObsoleteReplyQueuesCache.TTL */
#define OBSOLETE_MAX 64
#define UNATTENDED_MAX 1024
#define MONITORED_MAX 1024

struct reply {
    struct bus_work work; /* of the thread that waits, unless `unattended` */
    struct publication publication;
    struct replies *replies;
    bool unattended; /* freed when finished */
    bool ending;     /* false: a heartbeat */
    char *reply_q;
    char *msg_id;
    json_t *result; /* NULL = null */
    bool failed;
    struct error failure;
    uint64_t give_up_ms; /* when to stop looking for the queue; 0 = it was not missed yet */
};

/* A monitored call that is being served. */
struct monitored {
    LIST_ENTRY(monitored) link;
    char *reply_q;
    char *msg_id;
    uint64_t interval_ms;
    uint64_t next_ms;
};

struct replies {
    struct bus *bus;
    LIST_HEAD(, monitored) monitored;
    unsigned n_monitored;
    unsigned n_unattended;
    struct {
        char *reply_q;
        uint64_t until_ms;
    } obsolete[OBSOLETE_MAX]; /* a ring */
    unsigned next_obsolete;
};

static struct reply *reply_of(struct publication *publication)
{
    return (struct reply *)(void *)((char *)publication - offsetof(struct reply, publication));
}

static void reply_free(struct reply *reply)
{
    json_decref(reply->result);
    free(reply->reply_q);
    free(reply->msg_id);
    free(reply);
}

static void monitored_free(struct replies *replies, struct monitored *monitored)
{
    LIST_REMOVE(monitored, link);
    replies->n_monitored--;
    free(monitored->reply_q);
    free(monitored->msg_id);
    free(monitored);
}

void replies_stop_monitoring(struct replies *replies, const char *msg_id)
{
    struct monitored *monitored;
    LIST_FOREACH(monitored, &replies->monitored, link)
    {
        if (strcmp(monitored->msg_id, msg_id) == 0) {
            monitored_free(replies, monitored);
            return;
        }
    }
}

static bool is_obsolete(const struct replies *replies, const char *reply_q, uint64_t now_ms)
{
    for (unsigned i = 0; i < OBSOLETE_MAX; i++)
        if (replies->obsolete[i].reply_q && now_ms < replies->obsolete[i].until_ms &&
            strcmp(replies->obsolete[i].reply_q, reply_q) == 0)
            return true;
    return false;
}

static void add_obsolete(struct replies *replies, const char *reply_q, uint64_t now_ms)
{
    unsigned i = replies->next_obsolete;
    free(replies->obsolete[i].reply_q);
    replies->obsolete[i].reply_q = strdup(reply_q);
    replies->obsolete[i].until_ms = now_ms + OBSOLETE_MS;
    replies->next_obsolete = (i + 1) % OBSOLETE_MAX;
}

static void end_reply(struct reply *reply, int result, const struct error *error)
{
    if (!reply->unattended) {
        bus_work_done(reply->replies->bus, &reply->work, result, error);
        return;
    }
    if (result < 0 && reply->ending)
        log_error("the reply to message ID %s was not sent: %s", reply->msg_id, error->message);
    reply->replies->n_unattended--;
    reply_free(reply);
}

/* A client that lost its queue in a broker restart declares it again: wait for that. */
static void retry_unroutable(struct reply *reply, const struct error *error)
{
    struct replies *replies = reply->replies;
    const struct rabbit_options *rabbit = &replies->bus->settings.rabbit;
    uint64_t now_ms = clock_now_ms();
    if (reply->give_up_ms == 0)
        reply->give_up_ms =
            now_ms + (uint64_t)rabbit->kombu_missing_consumer_retry_timeout_s * 1000;
    if (now_ms >= reply->give_up_ms) {
        add_obsolete(replies, reply->reply_q, now_ms);
        end_reply(reply, -error->errnum, error);
        return;
    }
    reply->publication.not_before_ms = now_ms + RETRY_PAUSE_MS;
    if (reply->publication.deadline_ms <= reply->give_up_ms)
        reply->publication.deadline_ms = reply->give_up_ms + RETRY_PAUSE_MS;
    publisher_submit(replies->bus->publisher, &reply->publication);
}

static void reply_finished(struct publication *publication, enum publication_outcome outcome,
                           const struct error *error)
{
    struct reply *reply = reply_of(publication);
    if (outcome == PUBLICATION_CONFIRMED) {
        end_reply(reply, 0, NULL);
    } else if (outcome == PUBLICATION_FAILED) {
        end_reply(reply, -error->errnum, error);
    } else if (!reply->ending) {
        if (outcome == PUBLICATION_UNROUTABLE)
            replies_stop_monitoring(reply->replies, reply->msg_id);
        end_reply(reply, -error->errnum, error);
    } else if (outcome == PUBLICATION_UNROUTABLE) {
        retry_unroutable(reply, error);
    } else { /* a client drops the second of two equal replies */
        publisher_submit(reply->replies->bus->publisher, publication);
    }
}

static int pack_reply(struct publication *publication, char **ret_body, size_t *ret_length,
                      struct error *err)
{
    const struct reply *reply = reply_of(publication);
    json_t *message = NULL;
    int r = rpc_reply_message(reply->msg_id, json_incref(reply->result),
                              reply->failed ? &reply->failure : NULL, reply->ending, &message, err);
    if (r < 0)
        return r;
    r = oslo_message_pack(message, true, ret_body, ret_length, err);
    json_decref(message);
    return r;
}

/* Takes `result`. NULL when out of memory. */
static struct reply *reply_new(const struct bus *bus, const char *reply_q, const char *msg_id,
                               json_t *result, const struct error *failure)
{
    struct reply *reply = calloc(1, sizeof(*reply));
    if (!reply) {
        json_decref(result);
        return NULL;
    }
    reply->result = result;
    reply->ending = true;
    reply->reply_q = strdup(reply_q);
    reply->msg_id = strdup(msg_id);
    if (!reply->reply_q || !reply->msg_id) {
        reply_free(reply);
        return NULL;
    }
    reply->failed = failure != NULL;
    if (failure)
        reply->failure = *failure;
    reply->publication = (struct publication){
        .exchange = "",
        .routing_key = reply->reply_q,
        .mandatory = true,
        .deadline_ms = clock_now_ms() + (uint64_t)bus->settings.rpc_response_timeout_s * 1000,
        .pack = pack_reply,
        .finished = reply_finished,
    };
    return reply;
}

static void submit(struct replies *replies, struct reply *reply)
{
    reply->replies = replies;
    if (reply->ending)
        replies_stop_monitoring(replies, reply->msg_id);
    if (is_obsolete(replies, reply->reply_q, clock_now_ms())) {
        struct error error = ERROR_INIT;
        (void)error_set(&error, ENOENT, EXC_INTERNAL_ERROR, "%s does not exist any more",
                        reply->reply_q);
        end_reply(reply, -ENOENT, &error);
        return;
    }
    publisher_submit(replies->bus->publisher, &reply->publication);
}

static void submit_unattended(struct replies *replies, struct reply *reply)
{
    if (replies->n_unattended >= UNATTENDED_MAX) {
        log_error("the reply to message ID %s is dropped: too many wait", reply->msg_id);
        reply_free(reply);
        return;
    }
    replies->n_unattended++;
    reply->unattended = true;
    submit(replies, reply);
}

void replies_send(struct replies *replies, const struct rpc_request *request, json_t *result,
                  const struct error *failure)
{
    if (!request->msg_id) {
        json_decref(result);
        return;
    }
    struct reply *reply =
        reply_new(replies->bus, request->reply_q, request->msg_id, result, failure);
    if (reply)
        submit_unattended(replies, reply);
}

static void start_reply(struct bus *bus, struct bus_work *work)
{
    struct reply *reply = (struct reply *)(void *)((char *)work - offsetof(struct reply, work));
    submit(bus->replies, reply);
}

static int answer(struct bus *bus, const struct rpc_request *request, json_t *result,
                  const struct error *failure, struct error *err)
{
    BUS_SCOPE(bus);
    if (!request->msg_id) {
        json_decref(result);
        return 0;
    }
    struct reply *reply = reply_new(bus, request->reply_q, request->msg_id, result, failure);
    if (!reply)
        return error_nomem(err);
    reply->work.start = start_reply;
    int r = bus_work_run(bus, &reply->work, err);
    reply_free(reply);
    return r;
}

int rpc_reply(struct bus *bus, const struct rpc_request *request, json_t *result, struct error *err)
{
    return answer(bus, request, result, NULL, err);
}

int rpc_fail(struct bus *bus, const struct rpc_request *request, const struct error *failure,
             struct error *err)
{
    return answer(bus, request, NULL, failure, err);
}

void replies_monitor(struct replies *replies, const struct rpc_request *request)
{
    if (!request->msg_id || request->call_monitor_timeout_s == 0 ||
        replies->n_monitored >= MONITORED_MAX)
        return;
    struct monitored *monitored = calloc(1, sizeof(*monitored));
    if (!monitored)
        return;
    LIST_INSERT_HEAD(&replies->monitored, monitored, link);
    replies->n_monitored++;
    monitored->reply_q = strdup(request->reply_q);
    monitored->msg_id = strdup(request->msg_id);
    monitored->interval_ms = (uint64_t)request->call_monitor_timeout_s * 500;
    monitored->next_ms = clock_now_ms() + monitored->interval_ms;
    if (!monitored->reply_q || !monitored->msg_id)
        monitored_free(replies, monitored);
}

static void send_heartbeat(struct replies *replies, const struct monitored *monitored)
{
    struct reply *heartbeat =
        reply_new(replies->bus, monitored->reply_q, monitored->msg_id, NULL, NULL);
    if (!heartbeat)
        return;
    heartbeat->ending = false;
    heartbeat->publication.deadline_ms = clock_now_ms() + monitored->interval_ms;
    submit_unattended(replies, heartbeat);
}

void replies_run(struct replies *replies, uint64_t now_ms)
{
    struct monitored *next;
    for (struct monitored *monitored = LIST_FIRST(&replies->monitored); monitored;
         monitored = next) {
        next = LIST_NEXT(monitored, link);
        if (now_ms < monitored->next_ms)
            continue;
        monitored->next_ms = now_ms + monitored->interval_ms;
        send_heartbeat(replies, monitored);
    }
}

uint64_t replies_next_ms(const struct replies *replies)
{
    uint64_t next_ms = NEVER_MS;
    const struct monitored *monitored;
    LIST_FOREACH(monitored, &replies->monitored, link)
    next_ms = earlier_ms(next_ms, monitored->next_ms);
    return next_ms;
}

struct replies *replies_new(struct bus *bus)
{
    struct replies *replies = calloc(1, sizeof(*replies));
    if (!replies)
        return NULL;
    replies->bus = bus;
    LIST_INIT(&replies->monitored);
    return replies;
}

void replies_free(struct replies *replies)
{
    if (!replies)
        return;
    while (!LIST_EMPTY(&replies->monitored))
        monitored_free(replies, LIST_FIRST(&replies->monitored));
    for (unsigned i = 0; i < OBSOLETE_MAX; i++)
        free(replies->obsolete[i].reply_q);
    free(replies);
}
