/* SPDX-License-Identifier: Apache-2.0 */
/* See replies.h. */
#include "amqp/replies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/call_monitor.h"
#include "amqp/container.h"
#include "amqp/oslo_message.h"
#include "common/clock.h"
#include "common/log.h"

#define RETRY_PAUSE_MS 250
#define OBSOLETE_MS 60000 /* ObsoleteReplyQueuesCache.TTL */
#define OBSOLETE_MAX 64
#define UNATTENDED_MAX 1024

struct reply {
    struct bus_work work; /* of the thread that waits, unless `unattended` */
    struct publication publication;
    struct replies *replies; /* of replies_answer(): looked into by the bus thread only */
    bool unattended;         /* freed when finished */
    bool ending;             /* false: a heartbeat */
    char *reply_q;
    char *msg_id;
    json_t *result; /* NULL = null */
    bool failed;
    struct error failure;
    uint64_t give_up_ms; /* when to stop looking for the queue; 0 = it was not missed yet */
};

struct replies {
    const struct bus_settings *settings;
    struct publisher *publisher;
    struct call_monitor monitor;
    unsigned n_unattended;
    struct {
        char *reply_q;
        uint64_t until_ms;
    } obsolete[OBSOLETE_MAX]; /* a ring */
    unsigned next_obsolete;
};

static struct reply *reply_of(struct publication *publication)
{
    return CONTAINER_OF(publication, struct reply, publication);
}

static void reply_free(struct reply *reply)
{
    json_decref(reply->result);
    free(reply->reply_q);
    free(reply->msg_id);
    free(reply);
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

static void reply_done(struct reply *reply, int result, const struct error *error)
{
    if (result == 0 && reply->ending)
        log_debug("the reply to message ID %s is confirmed", reply->msg_id);
    if (!reply->unattended) {
        bus_work_done(&reply->work, result, error);
        return;
    }
    if (result < 0 && reply->ending)
        log_error("reply to message ID %s dropped, it could not be sent: %s", reply->msg_id,
                  error->message);
    reply->replies->n_unattended--;
    reply_free(reply);
}

/* A client that lost its queue in a broker restart declares it again: wait for that. */
static void retry_unroutable(struct reply *reply, const struct error *error)
{
    struct replies *replies = reply->replies;
    unsigned timeout_s = replies->settings->rabbit.kombu_missing_consumer_retry_timeout_s;
    uint64_t now_ms = clock_now_ms();
    if (reply->give_up_ms == 0) {
        reply->give_up_ms = now_ms + (uint64_t)timeout_s * 1000;
        log_debug("the reply to message ID %s waits at most %u s for its queue %s", reply->msg_id,
                  timeout_s, reply->reply_q);
    }
    if (now_ms >= reply->give_up_ms) {
        add_obsolete(replies, reply->reply_q, now_ms);
        reply_done(reply, -error->errnum, error);
        return;
    }
    reply->publication.not_before_ms = now_ms + RETRY_PAUSE_MS;
    if (reply->publication.deadline_ms <= reply->give_up_ms)
        reply->publication.deadline_ms = reply->give_up_ms + RETRY_PAUSE_MS;
    publisher_submit(replies->publisher, &reply->publication);
}

static void reply_finished(struct publication *publication, enum publication_outcome outcome,
                           const struct error *error)
{
    struct reply *reply = reply_of(publication);
    if (outcome == PUBLICATION_CONFIRMED) {
        reply_done(reply, 0, NULL);
    } else if (outcome == PUBLICATION_FAILED) {
        reply_done(reply, -error->errnum, error);
    } else if (!reply->ending) {
        if (outcome == PUBLICATION_UNROUTABLE)
            replies_stop_monitoring(reply->replies, reply->msg_id);
        reply_done(reply, -error->errnum, error);
    } else if (outcome == PUBLICATION_UNROUTABLE) {
        retry_unroutable(reply, error);
    } else { /* a client drops the second of two equal replies */
        publisher_submit(reply->replies->publisher, publication);
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

/* Any thread. Takes `result`. NULL when out of memory. */
static struct reply *reply_new(struct replies *replies, const char *reply_q, const char *msg_id,
                               json_t *result, const struct error *failure)
{
    struct reply *reply = calloc(1, sizeof(*reply));
    if (!reply) {
        json_decref(result);
        return NULL;
    }
    reply->replies = replies;
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
    return reply;
}

static void reply_submit(struct reply *reply, uint64_t timeout_ms)
{
    struct replies *replies = reply->replies;
    uint64_t now_ms = clock_now_ms();
    if (reply->ending)
        replies_stop_monitoring(replies, reply->msg_id);
    if (is_obsolete(replies, reply->reply_q, now_ms)) {
        struct error error = ERROR_INIT;
        (void)error_set(&error, ENOENT, EXC_INTERNAL_ERROR, "%s does not exist any more",
                        reply->reply_q);
        reply_done(reply, -ENOENT, &error);
        return;
    }
    reply->publication = (struct publication){
        .exchange = "",
        .routing_key = reply->reply_q,
        .mandatory = true,
        .deadline_ms = now_ms + timeout_ms,
        .pack = pack_reply,
        .finished = reply_finished,
    };
    publisher_submit(replies->publisher, &reply->publication);
}

static uint64_t response_timeout_ms(const struct replies *replies)
{
    return (uint64_t)replies->settings->rpc_response_timeout_s * 1000;
}

static void reply_submit_unattended(struct reply *reply, uint64_t timeout_ms)
{
    if (reply->replies->n_unattended >= UNATTENDED_MAX) {
        log_error("the reply to message ID %s is dropped, its caller will time out: %d others wait "
                  "to be sent",
                  reply->msg_id, UNATTENDED_MAX);
        reply_free(reply);
        return;
    }
    reply->replies->n_unattended++;
    reply->unattended = true;
    reply_submit(reply, timeout_ms);
}

void replies_send(struct replies *replies, const struct rpc_request *request, json_t *result,
                  const struct error *failure)
{
    if (!request->msg_id) {
        json_decref(result);
        return;
    }
    struct reply *reply = reply_new(replies, request->reply_q, request->msg_id, result, failure);
    if (reply)
        reply_submit_unattended(reply, response_timeout_ms(replies));
}

static void start_reply(struct bus_work *work)
{
    struct reply *reply = CONTAINER_OF(work, struct reply, work);
    reply_submit(reply, response_timeout_ms(reply->replies));
}

int replies_answer(struct replies *replies, struct bus_work_queue *works,
                   const struct rpc_request *request, json_t *result, const struct error *failure,
                   struct error *err)
{
    if (!request->msg_id) {
        json_decref(result);
        return 0;
    }
    struct reply *reply = reply_new(replies, request->reply_q, request->msg_id, result, failure);
    if (!reply)
        return error_nomem(err);
    reply->work.start = start_reply;
    int r = bus_work_run(works, &reply->work, err);
    reply_free(reply);
    return r;
}

void replies_monitor(struct replies *replies, const struct rpc_request *request)
{
    call_monitor_add(&replies->monitor, request);
}

void replies_stop_monitoring(struct replies *replies, const char *msg_id)
{
    call_monitor_remove(&replies->monitor, msg_id);
}

/* Late, it is of no use: the next one is due. */
static void send_heartbeat(struct replies *replies, const struct monitored_call *call)
{
    struct reply *heartbeat = reply_new(replies, call->reply_q, call->msg_id, NULL, NULL);
    if (!heartbeat)
        return;
    log_debug("sending a heartbeat for message ID %s", call->msg_id);
    heartbeat->ending = false;
    reply_submit_unattended(heartbeat, call->interval_ms);
}

void replies_run(struct replies *replies, uint64_t now_ms)
{
    const struct monitored_call *call;
    while ((call = call_monitor_due(&replies->monitor, now_ms)))
        send_heartbeat(replies, call);
}

uint64_t replies_next_ms(const struct replies *replies)
{
    return call_monitor_next_ms(&replies->monitor);
}

struct replies *replies_new(const struct bus_settings *settings, struct publisher *publisher)
{
    struct replies *replies = calloc(1, sizeof(*replies));
    if (!replies)
        return NULL;
    replies->settings = settings;
    replies->publisher = publisher;
    call_monitor_init(&replies->monitor);
    return replies;
}

void replies_free(struct replies *replies)
{
    if (!replies)
        return;
    call_monitor_clear(&replies->monitor);
    for (unsigned i = 0; i < OBSOLETE_MAX; i++)
        free(replies->obsolete[i].reply_q);
    free(replies);
}
