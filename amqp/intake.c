/* SPDX-License-Identifier: Apache-2.0 */
/* See intake.h. */
#include "amqp/intake.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "amqp/channel.h"
#include "amqp/duplicates.h"
#include "amqp/replies.h"
#include "amqp/rpc_server.h"
#include "amqp/writer.h"
#include "common/clock.h"
#include "common/log.h"

/* As long as a broker may be busy that does answer heartbeats. */
#define ANSWER_MAX_MS 10000

struct taking {
    struct writer_job job;
    TAILQ_ENTRY(taking) link;
    struct amqp_content content; /* without its body */
    struct rpc_request *request;
    void *claim;
    bool is_written_down;
    uint64_t question; /* the number of the question behind its ack; 0 = not acked */
    uint64_t deadline_ms;
};

struct intake {
    struct bus *bus;
    struct rpc_server_ops ops;
    void *arg;
    struct rpc_server *server;
    intake_pass_on pass_on;
    struct writer *writer;
    TAILQ_HEAD(, taking) takings; /* in the order they came */
    struct duplicates served;
    uint16_t prefetch;
    uint64_t n_asked, n_answered; /* on the present channel */
};

static struct taking *taking_of(struct writer_job *job)
{
    return (struct taking *)(void *)((char *)job - offsetof(struct taking, job));
}

/* On the writer's thread, as the next one. */
static void write_down(void *arg, struct writer_job *job)
{
    struct intake *intake = arg;
    struct taking *taking = taking_of(job);
    log_set_context(taking->request->context->request_id, NULL);
    taking->is_written_down = intake->ops.write_down(intake->arg, taking->request, &taking->claim);
    log_set_context(NULL, NULL);
}

static void discard(void *arg, struct writer_job *job)
{
    struct intake *intake = arg;
    struct taking *taking = taking_of(job);
    intake->ops.withdraw(intake->arg, taking->claim);
    rpc_request_free(taking->request);
    free(taking);
}

/* It is not to be served. */
static void abandon(struct intake *intake, struct taking *taking)
{
    TAILQ_REMOVE(&intake->takings, taking, link);
    writer_abandon(intake->writer, &taking->job);
}

struct intake *intake_new(struct bus *bus, const struct rpc_server_ops *ops, void *arg,
                          struct rpc_server *server, intake_pass_on pass_on)
{
    static const struct writer_ops writer_ops = {write_down, discard};
    struct intake *intake = calloc(1, sizeof(*intake));
    if (!intake)
        return NULL;
    *intake = (struct intake){.bus = bus,
                              .ops = *ops,
                              .arg = arg,
                              .server = server,
                              .pass_on = pass_on,
                              .writer = writer_new(&writer_ops, intake, bus->wake_fd),
                              .served.window = DUPLICATES_SERVED};
    TAILQ_INIT(&intake->takings);
    if (!intake->writer) {
        free(intake);
        return NULL;
    }
    return intake;
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    (void)intake_lost(intake);
    writer_free(intake->writer);
    duplicates_clear(&intake->served);
    free(intake);
}

void intake_set_prefetch(struct intake *intake, uint16_t count)
{
    intake->prefetch = count;
}

bool intake_knows(const struct intake *intake, const char *unique_id)
{
    const struct taking *taking;
    TAILQ_FOREACH(taking, &intake->takings, link)
    {
        if (unique_id[0] != '\0' && strcmp(taking->request->unique_id, unique_id) == 0)
            return true;
    }
    return duplicates_seen(&intake->served, unique_id);
}

void intake_remember(struct intake *intake, const char *unique_id)
{
    duplicates_add(&intake->served, unique_id);
}

void intake_forget(struct intake *intake, const char *unique_id)
{
    duplicates_remove(&intake->served, unique_id);
}

void intake_add(struct intake *intake, const struct amqp_content *content,
                struct rpc_request *request)
{
    struct taking *taking = writer_is_ready(intake->writer) ? calloc(1, sizeof(*taking)) : NULL;
    if (!taking) {
        intake->ops.withdraw(intake->arg, NULL);
        intake->pass_on(intake->server, content, request);
        return;
    }
    taking->content = *content;
    taking->content.body = NULL;
    taking->content.length = 0;
    taking->request = request;
    TAILQ_INSERT_TAIL(&intake->takings, taking, link);
    writer_submit(intake->writer, &taking->job);
}

/*
 * Asks for what is set already: RabbitMQ answers in the order of the channel, and nothing changes.
 * The answer is not waited for here: the host's other requests are.
 */
static void ask_behind_ack(struct intake *intake, struct taking *taking, uint64_t now_ms)
{
    struct error ignored = ERROR_INIT; /* the connection is dropped */
    amqp_basic_qos_t question = {.prefetch_count = intake->prefetch};
    taking->question = ++intake->n_asked;
    taking->deadline_ms = now_ms + ANSWER_MAX_MS;
    int status = amqp_send_method(connection_state(intake->bus->consuming), SERVER_CHANNEL,
                                  AMQP_BASIC_QOS_METHOD, &question);
    (void)channel_sent(intake->bus->consuming, status, "basic.qos", &ignored);
}

static void take_written(struct intake *intake, struct taking *taking, uint64_t now_ms)
{
    struct error ignored = ERROR_INIT;
    if (!taking->is_written_down) {
        TAILQ_REMOVE(&intake->takings, taking, link);
        intake->ops.withdraw(intake->arg, NULL);
        intake->pass_on(intake->server, &taking->content, taking->request);
        free(taking);
        return;
    }
    int status = amqp_basic_ack(connection_state(intake->bus->consuming), SERVER_CHANNEL,
                                taking->content.delivery_tag, false);
    if (channel_sent(intake->bus->consuming, status, "basic.ack", &ignored) == 0)
        ask_behind_ack(intake, taking, now_ms);
    else /* what could not be written to the socket never arrives as a whole */
        abandon(intake, taking);
}

static uint64_t next_deadline_ms(const struct intake *intake)
{
    const struct taking *taking;
    uint64_t next_ms = NEVER_MS;
    TAILQ_FOREACH(taking, &intake->takings, link)
    {
        if (taking->question != 0)
            next_ms = earlier_ms(next_ms, taking->deadline_ms);
    }
    return next_ms;
}

void intake_run(struct intake *intake, uint64_t now_ms)
{
    struct writer_job *job;
    while (connection_is_up(intake->bus->consuming) && (job = writer_next_done(intake->writer)))
        take_written(intake, taking_of(job), now_ms);
    if (now_ms >= next_deadline_ms(intake))
        connection_drop(intake->bus->consuming, "the broker does not answer behind an ack");
}

uint64_t intake_next_ms(const struct intake *intake)
{
    return connection_is_up(intake->bus->consuming) ? next_deadline_ms(intake) : NEVER_MS;
}

/* Takes it off; from now on it is known by its id alone. */
static void begin(struct intake *intake, struct taking *taking)
{
    struct rpc_request *request = taking->request;
    TAILQ_REMOVE(&intake->takings, taking, link);
    duplicates_add(&intake->served, request->unique_id);
    replies_monitor(intake->bus->replies, request);
    log_set_context(request->context->request_id, NULL);
    intake->ops.serve(intake->arg, request, taking->claim);
    log_set_context(NULL, NULL);
    free(taking);
}

static void begin_until(struct intake *intake, uint64_t question)
{
    struct taking *next;
    for (struct taking *taking = TAILQ_FIRST(&intake->takings); taking; taking = next) {
        next = TAILQ_NEXT(taking, link);
        if (taking->question != 0 && taking->question <= question)
            begin(intake, taking);
    }
}

void intake_answered(struct intake *intake)
{
    if (intake->n_answered < intake->n_asked)
        begin_until(intake, ++intake->n_answered);
}

void intake_all_answered(struct intake *intake)
{
    begin_until(intake, intake->n_asked);
}

void intake_requeue(struct intake *intake)
{
    struct error ignored = ERROR_INIT;
    struct taking *next;
    for (struct taking *taking = TAILQ_FIRST(&intake->takings); taking; taking = next) {
        next = TAILQ_NEXT(taking, link);
        if (taking->question != 0)
            continue;
        if (connection_is_up(intake->bus->consuming)) {
            int status = amqp_basic_nack(connection_state(intake->bus->consuming), SERVER_CHANNEL,
                                         taking->content.delivery_tag, false, true);
            (void)channel_sent(intake->bus->consuming, status, "basic.nack", &ignored);
        }
        abandon(intake, taking);
    }
}

/* Perhaps the broker has the ack, perhaps it gives the request to somebody else. */
static bool doubt(struct intake *intake, struct taking *taking)
{
    char *unique_id = strdup(taking->request->unique_id);
    log_set_context(taking->request->context->request_id, NULL);
    bool is_taken = intake->ops.doubt(intake->arg, taking->request, taking->claim);
    log_set_context(NULL, NULL);
    if (is_taken) {
        TAILQ_REMOVE(&intake->takings, taking, link);
        duplicates_add(&intake->served, unique_id);
        free(taking);
    } else {
        abandon(intake, taking);
    }
    free(unique_id);
    return is_taken;
}

bool intake_lost(struct intake *intake)
{
    bool in_doubt = false;
    struct taking *next;
    for (struct taking *taking = TAILQ_FIRST(&intake->takings); taking; taking = next) {
        next = TAILQ_NEXT(taking, link);
        if (taking->question != 0)
            in_doubt |= doubt(intake, taking);
        else
            abandon(intake, taking);
    }
    intake->n_asked = intake->n_answered = 0;
    return in_doubt;
}
