/* SPDX-License-Identifier: Apache-2.0 */
/* See intake.h. */
#include "amqp/intake.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "amqp/channel.h"
#include "amqp/container.h"
#include "amqp/duplicates.h"
#include "amqp/writer.h"
#include "common/clock.h"
#include "common/log.h"

/* As long as a broker may be busy that does answer heartbeats. */
#define ANSWER_MAX_MS 10000

/* Until a disk that is full may have room. */
#define WRITE_AGAIN_MS 10000

struct taking {
    struct writer_job job;
    TAILQ_ENTRY(taking) link;
    struct amqp_content content; /* without its body */
    struct rpc_request *request;
    void *claim;
    bool is_written_down;
    uint64_t question; /* the number of the question behind its ack; 0 = not acked */
    uint64_t deadline_ms;
    uint64_t write_again_ms; /* NEVER_MS: it is with the writer, or through with it */
};

struct intake {
    struct intake_setup setup;
    struct writer *writer;
    TAILQ_HEAD(, taking) takings; /* in the order they came */
    struct duplicates served;
    uint16_t prefetch;
    uint64_t n_asked, n_answered; /* on the present channel */
};

static struct taking *taking_of(struct writer_job *job)
{
    return CONTAINER_OF(job, struct taking, job);
}

static void enter_log_context(const struct taking *taking)
{
    log_set_context(taking->request->context->request_id, NULL);
}

static void leave_log_context(void)
{
    log_set_context(NULL, NULL);
}

/* On the writer's thread, as the next one. */
static void write_down_taking(void *arg, struct writer_job *job)
{
    struct intake *intake = arg;
    struct taking *taking = taking_of(job);
    enter_log_context(taking);
    taking->is_written_down =
        intake->setup.ops->write_down(intake->setup.arg, taking->request, &taking->claim);
    leave_log_context();
}

static void discard_taking(void *arg, struct writer_job *job)
{
    struct intake *intake = arg;
    struct taking *taking = taking_of(job);
    intake->setup.ops->withdraw(intake->setup.arg, taking->claim);
    rpc_request_free(taking->request);
    free(taking);
}

/* It is not served here. The writer may be at it: it is freed on its thread. */
static void abandon_taking(struct intake *intake, struct taking *taking)
{
    const struct rpc_request *request = taking->request;
    log_debug("%s (%s) is not served here: the broker redelivers it unless it has our ack",
              request->method, request->unique_id);
    TAILQ_REMOVE(&intake->takings, taking, link);
    writer_abandon(intake->writer, &taking->job);
}

struct intake *intake_new(const struct intake_setup *setup)
{
    static const struct writer_ops writer_ops = {write_down_taking, discard_taking};
    struct intake *intake = calloc(1, sizeof(*intake));
    if (!intake)
        return NULL;
    *intake = (struct intake){.setup = *setup,
                              .writer = writer_new(&writer_ops, intake, setup->wake_fd),
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

bool intake_has_takings(const struct intake *intake)
{
    return !TAILQ_EMPTY(&intake->takings);
}

void intake_remember(struct intake *intake, const char *unique_id)
{
    duplicates_add(&intake->served, unique_id);
}

void intake_forget(struct intake *intake, const char *unique_id)
{
    duplicates_remove(&intake->served, unique_id);
}

/* Nothing was written: it is as if it had not been accepted. */
static void turn_away(struct intake *intake, const struct amqp_content *content,
                      struct rpc_request *request)
{
    const struct intake_setup *setup = &intake->setup;
    setup->ops->withdraw(setup->arg, NULL);
    if (setup->pass_on) {
        setup->pass_on(setup->pass_on_arg, content, request);
        return;
    }
    connection_drop(setup->connection, "no thread to write a request down with");
    rpc_request_free(request);
}

void intake_add(struct intake *intake, const struct amqp_content *content,
                struct rpc_request *request)
{
    struct taking *taking = writer_is_ready(intake->writer) ? calloc(1, sizeof(*taking)) : NULL;
    if (!taking) {
        turn_away(intake, content, request);
        return;
    }
    taking->content = *content;
    taking->content.body = NULL;
    taking->content.length = 0;
    taking->request = request;
    taking->write_again_ms = NEVER_MS;
    TAILQ_INSERT_TAIL(&intake->takings, taking, link);
    writer_submit(intake->writer, &taking->job);
}

/*
 * Asks for what is set already: RabbitMQ answers in the order of the channel, and nothing changes.
 * The answer is not waited for here: the host's other requests are.
 */
static void ask_behind_ack(struct intake *intake, struct taking *taking, uint64_t now_ms)
{
    struct connection *connection = intake->setup.connection;
    struct error ignored = ERROR_INIT; /* the connection is dropped */
    amqp_basic_qos_t question = {.prefetch_count = intake->prefetch};
    taking->question = ++intake->n_asked;
    taking->deadline_ms = now_ms + ANSWER_MAX_MS;
    int status = amqp_send_method(connection_state(connection), SERVER_CHANNEL,
                                  AMQP_BASIC_QOS_METHOD, &question);
    (void)channel_sent(connection, status, "basic.qos", &ignored);
}

/* Not acked, it is the broker's if we go. */
static void pass_on_taking(struct intake *intake, struct taking *taking, uint64_t now_ms)
{
    if (!intake->setup.pass_on) {
        taking->write_again_ms = now_ms + WRITE_AGAIN_MS;
        log_warning("%s is kept and written down again in %d s: there is no nova-compute to leave "
                    "it to",
                    taking->request->method, WRITE_AGAIN_MS / 1000);
        return;
    }
    log_warning("%s is left to nova-compute: it is not written down", taking->request->method);
    TAILQ_REMOVE(&intake->takings, taking, link);
    turn_away(intake, &taking->content, taking->request);
    free(taking);
}

static void ack_taking(struct intake *intake, struct taking *taking, uint64_t now_ms)
{
    struct connection *connection = intake->setup.connection;
    struct error ignored = ERROR_INIT;
    int status = amqp_basic_ack(connection_state(connection), SERVER_CHANNEL,
                                taking->content.delivery_tag, false);
    if (channel_sent(connection, status, "basic.ack", &ignored) < 0) {
        abandon_taking(intake, taking); /* half a frame is no ack */
        return;
    }
    log_debug("%s (%s) is written down and acked", taking->request->method,
              taking->request->unique_id);
    ask_behind_ack(intake, taking, now_ms);
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

static void write_again(struct intake *intake, uint64_t now_ms)
{
    struct taking *taking;
    TAILQ_FOREACH(taking, &intake->takings, link)
    {
        if (now_ms < taking->write_again_ms)
            continue;
        taking->write_again_ms = NEVER_MS;
        writer_submit(intake->writer, &taking->job);
    }
}

void intake_run(struct intake *intake, uint64_t now_ms)
{
    struct writer_job *job;
    while (connection_is_up(intake->setup.connection) && (job = writer_next_done(intake->writer))) {
        struct taking *taking = taking_of(job);
        enter_log_context(taking);
        if (taking->is_written_down)
            ack_taking(intake, taking, now_ms);
        else
            pass_on_taking(intake, taking, now_ms);
        leave_log_context();
    }
    write_again(intake, now_ms);
    if (now_ms >= next_deadline_ms(intake))
        connection_drop(intake->setup.connection,
                        "the broker does not answer what was asked after an ack");
}

uint64_t intake_next_ms(const struct intake *intake)
{
    const struct taking *taking;
    if (!connection_is_up(intake->setup.connection))
        return NEVER_MS;
    uint64_t next_ms = next_deadline_ms(intake);
    TAILQ_FOREACH(taking, &intake->takings, link)
    next_ms = earlier_ms(next_ms, taking->write_again_ms);
    return next_ms;
}

/* Takes it off; from now on it is known by its id alone. */
static void serve_taking(struct intake *intake, struct taking *taking)
{
    const struct intake_setup *setup = &intake->setup;
    struct rpc_request *request = taking->request;
    TAILQ_REMOVE(&intake->takings, taking, link);
    duplicates_add(&intake->served, request->unique_id);
    replies_monitor(setup->replies, request);
    enter_log_context(taking);
    log_debug("%s (%s): the broker has the ack, serving it", request->method, request->unique_id);
    setup->ops->serve(setup->arg, request, taking->claim);
    leave_log_context();
    free(taking);
}

static void serve_until(struct intake *intake, uint64_t question)
{
    struct taking *next;
    for (struct taking *taking = TAILQ_FIRST(&intake->takings); taking; taking = next) {
        next = TAILQ_NEXT(taking, link);
        if (taking->question != 0 && taking->question <= question)
            serve_taking(intake, taking);
    }
}

void intake_answered(struct intake *intake)
{
    if (intake->n_answered < intake->n_asked)
        serve_until(intake, ++intake->n_answered);
}

void intake_all_answered(struct intake *intake)
{
    serve_until(intake, intake->n_asked);
}

void intake_requeue(struct intake *intake)
{
    struct connection *connection = intake->setup.connection;
    struct error ignored = ERROR_INIT;
    struct taking *next;
    for (struct taking *taking = TAILQ_FIRST(&intake->takings); taking; taking = next) {
        next = TAILQ_NEXT(taking, link);
        if (taking->question != 0)
            continue;
        if (connection_is_up(connection)) {
            int status = amqp_basic_nack(connection_state(connection), SERVER_CHANNEL,
                                         taking->content.delivery_tag, false, true);
            (void)channel_sent(connection, status, "basic.nack", &ignored);
        }
        abandon_taking(intake, taking);
    }
}

/* Perhaps the broker has the ack, perhaps it gives the request to somebody else. */
static bool doubt_taking(struct intake *intake, struct taking *taking)
{
    char *unique_id = strdup(taking->request->unique_id);
    enter_log_context(taking);
    log_debug("%s (%s): the connection was lost before its ack was confirmed",
              taking->request->method, taking->request->unique_id);
    bool is_taken = intake->setup.ops->doubt(intake->setup.arg, taking->request, taking->claim);
    leave_log_context();
    if (is_taken) {
        TAILQ_REMOVE(&intake->takings, taking, link);
        duplicates_add(&intake->served, unique_id);
        free(taking);
    } else {
        abandon_taking(intake, taking);
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
            in_doubt |= doubt_taking(intake, taking);
        else
            abandon_taking(intake, taking);
    }
    intake->n_asked = intake->n_answered = 0;
    return in_doubt;
}
