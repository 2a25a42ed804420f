/* SPDX-License-Identifier: Apache-2.0 */
/* See rpc_server.h. */
#include "amqp/rpc_server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "amqp/channel.h"
#include "amqp/consumer.h"
#include "amqp/intake.h"
#include "amqp/oslo_message.h"
#include "amqp/refusal.h"
#include "common/clock.h"
#include "common/log.h"

struct rpc_server {
    struct rpc_server_setup setup;
    struct attachment attachment;
    struct intake *intake;
};

static struct consumer *consumer_of(struct rpc_server *server)
{
    return &server->attachment.consumer;
}

static bool is_over(const struct rpc_server *server)
{
    return server->attachment.phase == ATTACHMENT_OVER;
}

/* SHARED: to nova-compute. EXCLUSIVE: out of the queue, since nobody else could read it. */
static void refuse_undecodable(struct rpc_server *server, const struct amqp_content *content,
                               const struct error *error)
{
    const char *queue = server->attachment.queue;
    if (server->attachment.shared) {
        log_warning("a request on %s cannot be read and is left to nova-compute: %s", queue,
                    error->message);
        attachment_hold(&server->attachment, content);
        return;
    }
    log_error("a request on %s is rejected: %s", queue, error->message);
    (void)consumer_reject(consumer_of(server), content->delivery_tag);
}

/* SHARED. */
static void put_request_back(void *arg, const struct amqp_content *content,
                             struct rpc_request *request)
{
    struct rpc_server *server = arg;
    log_debug("%s (%s) is not served here: put back to nova-compute", request->method,
              request->unique_id);
    attachment_hold(&server->attachment, content);
    rpc_request_free(request);
}

/* EXCLUSIVE. */
static void refuse_request(struct rpc_server *server, const struct amqp_content *content,
                           struct rpc_request *request)
{
    const struct bus_settings *settings = server->setup.settings;
    if (consumer_ack(consumer_of(server), content->delivery_tag)) {
        intake_remember(server->intake, request->unique_id);
        refusal_send(server->setup.replies, request, settings->topic,
                     (const char *const *)settings->rpc_versions);
    }
    rpc_request_free(request);
}

/* In SHARED nothing is acked here that is not served, or was: an ack takes it from nova-compute. */
static void judge_request(struct rpc_server *server, const struct amqp_content *content,
                          struct rpc_request *request)
{
    log_debug("request %s %s, unique ID %s, message ID %s%s", request->method, request->version,
              request->unique_id, request->msg_id ? request->msg_id : "none (a cast)",
              content->redelivered ? ", given out before" : "");
    if (intake_knows(server->intake, request->unique_id)) {
        log_info("ignoring duplicate message %s (%s)", request->unique_id, request->method);
        (void)consumer_ack(consumer_of(server), content->delivery_tag);
        rpc_request_free(request);
    } else if (server->attachment.phase != ATTACHMENT_DONE) {
        log_debug("%s (%s) was under way when consuming was stopped: put back", request->method,
                  request->unique_id);
        attachment_hold(&server->attachment, content);
        rpc_request_free(request);
    } else if (server->setup.ops->accept(server->setup.arg, request) == RPC_SERVE) {
        intake_add(server->intake, content, request);
    } else if (server->attachment.shared) {
        put_request_back(server, content, request);
    } else {
        refuse_request(server, content, request);
    }
}

static int unpack_request(const struct amqp_content *content, struct rpc_request **ret_request,
                          struct error *err)
{
    if (!content->is_plain_json)
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "its body is not plain JSON");
    if (content->length < content->size_bytes)
        return error_set(err, EMSGSIZE, EXC_INTERNAL_ERROR,
                         "its body of %" PRIu64 " bytes is larger than %u", content->size_bytes,
                         OSLO_BODY_MAX_BYTES);
    return rpc_request_unpack(content->body, content->length, ret_request, err);
}

void rpc_server_request(struct rpc_server *server, const struct amqp_content *content)
{
    struct error error = ERROR_INIT;
    struct rpc_request *request = NULL;
    if (is_over(server)) { /* it was under way when we detached */
        (void)consumer_requeue(consumer_of(server), content->delivery_tag);
        return;
    }
    if (unpack_request(content, &request, &error) < 0) {
        refuse_undecodable(server, content, &error);
        return;
    }
    log_set_context(request->context->request_id, NULL);
    judge_request(server, content, request);
    log_set_context(NULL, NULL);
}

void rpc_server_answered(struct rpc_server *server)
{
    intake_answered(server->intake);
}

void rpc_server_run(struct rpc_server *server, uint64_t now_ms)
{
    intake_run(server->intake, now_ms);
    if (connection_is_up(server->setup.consuming) && !is_over(server))
        attachment_run(&server->attachment, now_ms);
}

uint64_t rpc_server_next_ms(const struct rpc_server *server)
{
    uint64_t next_ms = intake_next_ms(server->intake);
    if (!connection_is_up(server->setup.consuming) || is_over(server))
        return next_ms;
    return earlier_ms(next_ms, attachment_next_ms(&server->attachment));
}

/* Beside nova-compute a backlog must not come to us as a whole, only to go back piece by piece. */
static uint16_t prefetch_count(const struct rpc_server *server)
{
    unsigned count = server->setup.settings->rabbit.rabbit_qos_prefetch_count;
    if (count == 0 && server->attachment.shared)
        count = PUT_BACK_MAX;
    return count > UINT16_MAX ? UINT16_MAX : (uint16_t)count;
}

int rpc_server_up(struct rpc_server *server, struct error *err)
{
    if (is_over(server))
        return 0;
    uint16_t prefetch = prefetch_count(server);
    intake_set_prefetch(server->intake, prefetch);
    int r = consumer_limit_prefetch(consumer_of(server), prefetch, err);
    if (r < 0)
        return r;
    return attachment_up(&server->attachment, err);
}

void rpc_server_down(struct rpc_server *server)
{
    bool in_doubt = intake_lost(server->intake);
    attachment_down(&server->attachment, in_doubt);
}

void rpc_server_cancelled(struct rpc_server *server, amqp_bytes_t tag)
{
    attachment_cancelled(&server->attachment, tag, intake_has_takings(server->intake));
}

/* Behind the broker's answer to basic.cancel: what is acked is ours, what is not nova-compute's. */
static void settle_intake(struct rpc_server *server)
{
    intake_all_answered(server->intake);
    intake_requeue(server->intake);
    attachment_requeue_held(&server->attachment);
}

void rpc_server_stand_aside(struct rpc_server *server)
{
    struct attachment *attachment = &server->attachment;
    if (is_over(server))
        return;
    if (attachment_is_aside(attachment)) {
        if (attachment_pause(attachment))
            settle_intake(server);
    } else if (attachment->phase != ATTACHMENT_DONE) {
        attachment_resume(attachment);
    }
}

int rpc_server_look(struct rpc_server *server, struct queue_state *ret_others, struct error *err)
{
    return attachment_look(&server->attachment, ret_others, err);
}

void rpc_server_detach(struct rpc_server *server)
{
    if (is_over(server))
        return;
    log_debug("taking no more requests from %s", server->attachment.queue);
    if (!attachment_end(&server->attachment)) {
        (void)intake_lost(server->intake);
        return;
    }
    settle_intake(server);
    attachment_leave_shared_queues(&server->attachment);
}

void rpc_server_forget(struct rpc_server *server, const char *unique_id)
{
    intake_forget(server->intake, unique_id);
}

void rpc_server_remember(struct rpc_server *server, const char *unique_id)
{
    intake_remember(server->intake, unique_id);
}

struct rpc_server *rpc_server_new(const struct rpc_server_setup *setup)
{
    struct rpc_server *server = calloc(1, sizeof(*server));
    if (!server)
        return NULL;
    bool shared = setup->settings->attach == BUS_ATTACH_SHARED;
    const struct intake_setup intake_setup = {.connection = setup->consuming,
                                              .replies = setup->replies,
                                              .wake_fd = setup->wake_fd,
                                              .ops = setup->ops,
                                              .arg = setup->arg,
                                              .pass_on = shared ? put_request_back : NULL,
                                              .pass_on_arg = server};
    server->setup = *setup;
    server->intake = intake_new(&intake_setup);
    if (!server->intake) {
        free(server);
        return NULL;
    }
    attachment_init(&server->attachment, setup->settings, setup->consuming, setup->flags);
    return server;
}

void rpc_server_free(struct rpc_server *server)
{
    if (!server)
        return;
    intake_free(server->intake);
    free(server);
}
