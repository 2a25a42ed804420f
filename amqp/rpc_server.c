/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See rpc_server.h.
 *
 * SHARED: a consumer of higher priority gets every request of the queue while it is there. What it
 * does not serve it puts back: cancel its consumer, nack with requeue, look at the queue, consume
 * again when it is empty, all in that order on one channel: by then nova-compute has the request.
 * That needs nova-compute's consumer, hence the attach rule: consume only while the queue has
 * another consumer that takes what is there; see put_back.h.
 *
 * EXCLUSIVE: the queues are ours and what is not served is answered as oslo's dispatcher does.
 */
#include "amqp/rpc_server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/absence.h"
#include "amqp/duplicates.h"
#include "amqp/host_claim.h"
#include "amqp/intake.h"
#include "amqp/oslo_message.h"
#include "amqp/put_back.h"
#include "amqp/refusal.h"
#include "amqp/topology.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"

#define NAME_MAX_BYTES 256
#define PRIORITY 10
#define ASIDE_MS 1000 /* a longer absence is told of */

enum attach_phase {
    ATTACH_WAITING, /* for nova-compute, or for the connection */
    ATTACH_GIVING,  /* for nova-compute to take what was just put back */
    ATTACH_DONE,
    ATTACH_OVER, /* bus_detach() */
};

struct rpc_server {
    struct bus *bus;
    struct rpc_server_ops ops;
    void *arg;
    bool shared;
    char queue[NAME_MAX_BYTES];        /* compute.<host> */
    char fanout_queue[NAME_MAX_BYTES]; /* EXCLUSIVE */

    enum attach_phase phase;
    uint64_t check_ms;   /* when to look for nova-compute's consumer, or for the claim */
    unsigned n_consumed; /* makes consumer tags unique */
    char tag[32];        /* of the present consumer on `queue` */
    bool is_in_doubt;    /* a connection was lost, and with it the answer behind an ack */
    struct host_claim claim;
    struct intake *intake;

    /* SHARED */
    struct put_back put_back;
    struct absence absence; /* nova-compute's */
};

static struct connection *connection_of(const struct rpc_server *server)
{
    return server->bus->consuming;
}

static amqp_connection_state_t state_of(const struct rpc_server *server)
{
    return connection_state(server->bus->consuming);
}

/* After a failed write the connection is dropped: nothing more to do here. */
static bool sent(struct rpc_server *server, int status, const char *what)
{
    struct error ignored = ERROR_INIT;
    return connection_sent(connection_of(server), status, what, &ignored) == 0;
}

static void set_phase(struct rpc_server *server, enum attach_phase phase)
{
    server->phase = phase;
    atomic_store(&server->bus->attached, phase == ATTACH_DONE || phase == ATTACH_GIVING);
}

static bool is_aside(const struct rpc_server *server)
{
    return atomic_load(&server->bus->aside) != 0;
}

static uint64_t poll_interval_ms(const struct rpc_server *server)
{
    return (uint64_t)server->bus->settings.attach_poll_interval_s * 1000;
}

static bool ack(struct rpc_server *server, uint64_t delivery_tag)
{
    return sent(server, amqp_basic_ack(state_of(server), SERVER_CHANNEL, delivery_tag, false),
                "basic.ack");
}

static bool requeue(struct rpc_server *server, uint64_t delivery_tag)
{
    return sent(server,
                amqp_basic_nack(state_of(server), SERVER_CHANNEL, delivery_tag, false, true),
                "basic.nack");
}

/* Without waiting for consume-ok: a trouble closes the channel, which is noticed soon enough. */
static bool consume(struct rpc_server *server, const char *queue, const char *tag)
{
    amqp_table_entry_t entries[2];
    amqp_table_t arguments = {.num_entries = 0, .entries = entries};
    if (server->shared)
        entries[arguments.num_entries++] = (amqp_table_entry_t){
            .key = amqp_cstring_bytes("x-priority"),
            .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = PRIORITY},
        };
    if (server->bus->settings.rabbit.enable_cancel_on_failover)
        entries[arguments.num_entries++] = (amqp_table_entry_t){
            .key = amqp_cstring_bytes("x-cancel-on-ha-failover"),
            .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1},
        };
    amqp_basic_consume_t method = {
        .queue = amqp_cstring_bytes(queue),
        .consumer_tag = amqp_cstring_bytes(tag),
        .nowait = 1,
        .arguments = arguments,
    };
    return sent(
        server,
        amqp_send_method(state_of(server), SERVER_CHANNEL, AMQP_BASIC_CONSUME_METHOD, &method),
        "basic.consume");
}

static bool consume_own_queue(struct rpc_server *server)
{
    (void)snprintf(server->tag, sizeof(server->tag), "%u", ++server->n_consumed);
    return consume(server, server->queue, server->tag);
}

static bool cancel(struct rpc_server *server, const char *tag)
{
    amqp_basic_cancel_t method = {.consumer_tag = amqp_cstring_bytes(tag), .nowait = 1};
    return sent(
        server,
        amqp_send_method(state_of(server), SERVER_CHANNEL, AMQP_BASIC_CANCEL_METHOD, &method),
        "basic.cancel");
}

static void requeue_held(struct rpc_server *server)
{
    for (unsigned i = 0; i < server->put_back.n_held; i++)
        (void)requeue(server, server->put_back.held[i]);
}

/* What is under way when the consumer goes is put back as it comes. */
static void put_back_held(struct rpc_server *server)
{
    struct put_back *put_back = &server->put_back;
    bool stand_aside = false;
    if (put_back->n_held == 0)
        return;
    log_debug("putting %u request(s) back to %s", put_back->n_held, server->queue);
    if (server->phase == ATTACH_DONE)
        (void)cancel(server, server->tag);
    requeue_held(server);
    uint64_t now_ms = clock_now_ms();
    uint64_t look_ms = put_back_given(put_back, now_ms, &stand_aside);
    if (server->phase == ATTACH_WAITING) {
        if (look_ms > server->check_ms)
            server->check_ms = look_ms;
        return;
    }
    server->check_ms = stand_aside ? look_ms : now_ms;
    if (stand_aside)
        log_info("standing aside from %s for %" PRIu64 " ms: a request came back", server->queue,
                 look_ms - now_ms);
    set_phase(server, stand_aside ? ATTACH_WAITING : ATTACH_GIVING);
}

static void hold(struct rpc_server *server, const struct amqp_content *content)
{
    if (!put_back_hold(&server->put_back, content))
        put_back_held(server);
}

static void refuse_undecodable(struct rpc_server *server, const struct amqp_content *content,
                               const struct error *error)
{
    if (server->shared) {
        log_warning("a request on %s is left to nova-compute: %s", server->queue, error->message);
        hold(server, content);
        return;
    }
    log_error("a request on %s is rejected: %s", server->queue, error->message);
    (void)sent(server,
               amqp_basic_reject(state_of(server), SERVER_CHANNEL, content->delivery_tag, false),
               "basic.reject");
}

static void pass_on(struct rpc_server *server, const struct amqp_content *content,
                    struct rpc_request *request)
{
    if (server->shared) {
        hold(server, content);
    } else if (ack(server, content->delivery_tag)) {
        intake_remember(server->intake, request->unique_id);
        refusal_send(server->bus->replies, request, server->bus->settings.topic,
                     (const char *const *)server->bus->settings.rpc_versions);
    }
    rpc_request_free(request);
}

/* Nothing is acked that is not served. */
static void judge(struct rpc_server *server, const struct amqp_content *content,
                  struct rpc_request *request)
{
    if (intake_knows(server->intake, request->unique_id)) {
        log_info("ignoring duplicate message %s (%s)", request->unique_id, request->method);
        (void)ack(server, content->delivery_tag);
        rpc_request_free(request);
    } else if (server->phase != ATTACH_DONE) { /* was under way when we stood aside */
        hold(server, content);
        rpc_request_free(request);
    } else if (server->ops.accept(server->arg, request) == RPC_SERVE) {
        intake_add(server->intake, content, request);
    } else {
        pass_on(server, content, request);
    }
}

void rpc_server_request(struct rpc_server *server, const struct amqp_content *content)
{
    if (server->phase == ATTACH_OVER) { /* was under way when we detached */
        (void)requeue(server, content->delivery_tag);
        return;
    }
    struct error error = ERROR_INIT;
    struct rpc_request *request = NULL;
    int r;
    if (!content->is_plain_json)
        r = error_set(&error, EBADMSG, EXC_INTERNAL_ERROR, "its body is not plain JSON");
    else if (content->length < content->size_bytes)
        r = error_set(&error, EMSGSIZE, EXC_INTERNAL_ERROR,
                      "its body of %" PRIu64 " bytes is larger "
                      "than %u",
                      content->size_bytes, OSLO_BODY_MAX_BYTES);
    else
        r = rpc_request_unpack(content->body, content->length, &request, &error);
    if (r < 0) {
        refuse_undecodable(server, content, &error);
        return;
    }
    log_set_context(request->context->request_id, NULL);
    judge(server, content, request);
    log_set_context(NULL, NULL);
}

/*
 * Who else consumes our queue, and what waits there. While attached, and after putting back, the
 * question goes over the consuming channel, behind all of ours; while not, over a channel that may
 * be closed by the answer.
 */
static int look(struct rpc_server *server, struct queue_state *ret_others, struct error *err)
{
    bool waiting = server->phase == ATTACH_WAITING;
    struct queue_state state = {0};
    int r = topology_look(connection_of(server), waiting ? TOPOLOGY_CHANNEL : SERVER_CHANNEL,
                          server->queue, &state, err);
    if (r < 0 && (r != -ENOENT || !waiting))
        return r;
    if (server->phase == ATTACH_DONE && state.consumers > 0)
        state.consumers--;
    *ret_others = state;
    return 0;
}

static void attach(struct rpc_server *server)
{
    bool told = server->phase == ATTACH_WAITING;
    put_back_taken(&server->put_back);
    server->is_in_doubt = false;
    if (!consume_own_queue(server))
        return;
    set_phase(server, ATTACH_DONE);
    if (!told)
        log_debug("consuming %s again", server->queue);
    else
        log_info("attached to %s beside nova-compute", server->queue);
}

static void detach(struct rpc_server *server)
{
    put_back_taken(&server->put_back);
    if (server->phase == ATTACH_WAITING)
        return;
    if (server->phase == ATTACH_DONE)
        (void)cancel(server, server->tag);
    set_phase(server, ATTACH_WAITING);
    log_warning("detached from %s: nova-compute does not consume it", server->queue);
}

/* It was ours by an earlier connection, and somebody else was faster. */
static void leave_to_another(struct rpc_server *server)
{
    if (!connection_is_up(connection_of(server)) || !cancel(server, server->tag))
        return;
    set_phase(server, ATTACH_WAITING);
    log_warning("detached from %s: another agent serves this host", server->queue);
}

/* What is there is nova-compute's: eaten and put back, it would only be counted. */
static void wait_for_taking(struct rpc_server *server, unsigned ready, uint64_t now_ms)
{
    uint64_t pause_ms = put_back_pause(&server->put_back);
    server->check_ms = now_ms + pause_ms;
    if (server->phase != ATTACH_GIVING || pause_ms < ASIDE_MS)
        return;
    set_phase(server, ATTACH_WAITING);
    log_warning("standing aside from %s: nova-compute does not take the %u request(s) in it",
                server->queue, ready);
}

/* A queue that is not empty is left alone, unless what we took and the broker knows nothing of may
 * be in it: that must come to us, not to nova-compute as well. */
static void check_attachment(struct rpc_server *server, uint64_t now_ms)
{
    struct error error = ERROR_INIT;
    struct queue_state others = {0};
    server->check_ms = now_ms + poll_interval_ms(server);
    int r = look(server, &others, &error);
    if (r < 0) {
        log_warning("no look at %s: %s", server->queue, error.message);
        if (server->phase != ATTACH_WAITING) /* the channel, and what it held, is gone */
            connection_drop(connection_of(server), error.message);
        return;
    }
    if (others.consumers == 0) {
        detach(server);
        absence_note(&server->absence, server->bus, server->queue, now_ms);
        return;
    }
    absence_over(&server->absence);
    if (is_aside(server))
        return;
    if (server->phase == ATTACH_DONE) {
        if (!host_claim_take(&server->claim, connection_of(server)))
            leave_to_another(server);
        return;
    }
    if (server->phase == ATTACH_GIVING &&
        put_back_settles(&server->put_back, now_ms, clock_now_ms(), &server->check_ms))
        return;
    if (others.ready > 0 && !server->is_in_doubt)
        wait_for_taking(server, others.ready, now_ms);
    else if (host_claim_take(&server->claim, connection_of(server)))
        attach(server);
}

void rpc_server_answered(struct rpc_server *server)
{
    intake_answered(server->intake);
}

static int need_exclusive_queues(struct rpc_server *server, struct error *err)
{
    const struct bus_settings *settings = &server->bus->settings;
    struct connection *connection = connection_of(server);
    int r = topology_need_queue(connection, &settings->rabbit, settings->control_exchange,
                                settings->topic, err);
    if (r == 0)
        r = topology_need_queue(connection, &settings->rabbit, settings->control_exchange,
                                server->queue, err);
    if (r == 0)
        r = topology_need_fanout(connection, &settings->rabbit, settings->topic,
                                 server->fanout_queue, err);
    return r;
}

/* Without the claim it is tried again: the connection has more to do than to take requests. */
static int attach_exclusive(struct rpc_server *server, struct error *err)
{
    server->check_ms = clock_now_ms() + poll_interval_ms(server);
    if (!host_claim_take(&server->claim, connection_of(server)))
        return connection_is_up(connection_of(server))
                   ? 0
                   : error_set(err, ECONNRESET, EXC_INTERNAL_ERROR, "%s",
                               connection_trouble(connection_of(server)));
    int r = need_exclusive_queues(server, err);
    if (r < 0)
        return r;
    if (!consume(server, server->bus->settings.topic, "topic") || !consume_own_queue(server) ||
        !consume(server, server->fanout_queue, "fanout"))
        return error_set(err, ECONNRESET, EXC_INTERNAL_ERROR, "basic.consume could not be sent");
    set_phase(server, ATTACH_DONE);
    log_info("attached to %s", server->queue);
    return 0;
}

static bool waits_for_claim(const struct rpc_server *server)
{
    return !server->shared && server->phase == ATTACH_WAITING && !is_aside(server);
}

void rpc_server_run(struct rpc_server *server, uint64_t now_ms)
{
    struct error err = ERROR_INIT;
    intake_run(server->intake, now_ms);
    if (!connection_is_up(connection_of(server)) || server->phase == ATTACH_OVER)
        return;
    put_back_held(server);
    if (now_ms < server->check_ms)
        return;
    if (server->shared)
        check_attachment(server, now_ms);
    else if (waits_for_claim(server) && attach_exclusive(server, &err) < 0)
        connection_drop(connection_of(server), err.message);
}

uint64_t rpc_server_next_ms(const struct rpc_server *server)
{
    uint64_t next_ms = intake_next_ms(server->intake);
    if (!connection_is_up(connection_of(server)) || server->phase == ATTACH_OVER)
        return next_ms;
    return server->shared || waits_for_claim(server) ? earlier_ms(next_ms, server->check_ms)
                                                     : next_ms;
}

/* Beside nova-compute a backlog must not come to us as a whole, only to go back piece by piece. */
static int limit_prefetch(struct rpc_server *server, struct error *err)
{
    unsigned count = server->bus->settings.rabbit.rabbit_qos_prefetch_count;
    if (count == 0 && server->shared)
        count = PUT_BACK_MAX;
    if (count > UINT16_MAX)
        count = UINT16_MAX;
    intake_set_prefetch(server->intake, (uint16_t)count);
    if (count == 0)
        return 0;
    (void)amqp_basic_qos(state_of(server), SERVER_CHANNEL, 0, (uint16_t)count, false);
    return connection_answered(connection_of(server), SERVER_CHANNEL, "basic.qos", err);
}

int rpc_server_up(struct rpc_server *server, struct error *err)
{
    if (server->phase == ATTACH_OVER)
        return 0;
    int r = connection_open_channel(connection_of(server), SERVER_CHANNEL, err);
    if (r == 0)
        r = limit_prefetch(server, err);
    if (r < 0)
        return r;
    server->check_ms = 0;
    return server->shared || is_aside(server) ? 0 : attach_exclusive(server, err);
}

void rpc_server_down(struct rpc_server *server)
{
    server->is_in_doubt |= intake_lost(server->intake);
    put_back_lost(&server->put_back);
    host_claim_lost(&server->claim);
    if (server->phase != ATTACH_OVER)
        set_phase(server, ATTACH_WAITING);
}

void rpc_server_cancelled(struct rpc_server *server, amqp_bytes_t tag)
{
    if (!server->shared) {
        connection_drop(connection_of(server), "the broker cancelled a consumer");
        return;
    }
    if (server->phase != ATTACH_DONE || tag.len != strlen(server->tag) ||
        memcmp(tag.bytes, server->tag, tag.len) != 0)
        return;
    log_warning("detached from %s: the broker cancelled the consumer", server->queue);
    set_phase(server, ATTACH_WAITING);
    server->check_ms = 0;
}

/*
 * With the broker's answer, before which it may still give us what is published on another
 * connection. A consumer it does not know of, it confirms too. False: there is no answer.
 */
static bool cancel_and_wait(struct rpc_server *server, const char *tag)
{
    struct error ignored = ERROR_INIT;
    if (!connection_is_up(connection_of(server)))
        return false;
    if (tag[0] == '\0')
        return true;
    (void)amqp_basic_cancel(state_of(server), SERVER_CHANNEL, amqp_cstring_bytes(tag));
    if (connection_answered(connection_of(server), SERVER_CHANNEL, "basic.cancel", &ignored) == 0)
        return true;
    connection_drop(connection_of(server), ignored.message); /* what the channel held is gone */
    return false;
}

static void detach_exclusive(struct rpc_server *server)
{
    struct error ignored = ERROR_INIT;
    (void)cancel_and_wait(server, "topic");
    (void)cancel_and_wait(server, "fanout");
    if (!connection_is_up(connection_of(server)))
        return;
    (void)amqp_queue_delete(state_of(server), TOPOLOGY_CHANNEL,
                            amqp_cstring_bytes(server->fanout_queue), false, false);
    (void)connection_answered(connection_of(server), TOPOLOGY_CHANNEL, "queue.delete", &ignored);
}

static void stop_standing_aside(struct rpc_server *server)
{
    struct error err = ERROR_INIT;
    server->check_ms = 0;
    if (!server->shared && connection_is_up(connection_of(server)) &&
        attach_exclusive(server, &err) < 0)
        connection_drop(connection_of(server), err.message);
}

/* What is under way is nova-compute's from now on, but for what the broker knows to be ours. */
static void begin_standing_aside(struct rpc_server *server)
{
    bool was_attached = server->phase != ATTACH_WAITING;
    set_phase(server, ATTACH_WAITING);
    if (was_attached)
        log_info("detached from %s", server->queue);
    if (!cancel_and_wait(server, server->tag))
        return;
    intake_all_answered(server->intake);
    if (!server->shared) {
        (void)cancel_and_wait(server, "topic");
        (void)cancel_and_wait(server, "fanout");
    }
    intake_requeue(server->intake);
    requeue_held(server);
    put_back_lost(&server->put_back);
}

void rpc_server_stand_aside(struct rpc_server *server)
{
    if (server->phase == ATTACH_OVER)
        return;
    if (!is_aside(server) && server->phase != ATTACH_DONE)
        stop_standing_aside(server);
    else if (is_aside(server))
        begin_standing_aside(server);
}

void rpc_server_detach(struct rpc_server *server)
{
    bool was_over = server->phase == ATTACH_OVER;
    set_phase(server, ATTACH_OVER);
    if (was_over)
        return;
    if (!cancel_and_wait(server, server->tag)) {
        (void)intake_lost(server->intake);
        return;
    }
    intake_all_answered(server->intake);
    intake_requeue(server->intake);
    requeue_held(server);
    put_back_lost(&server->put_back);
    if (!server->shared)
        detach_exclusive(server);
}

void rpc_server_handed_back(struct rpc_server *server, const char *unique_id, bool is)
{
    if (is)
        intake_forget(server->intake, unique_id);
    else
        intake_remember(server->intake, unique_id);
}

struct rpc_server *rpc_server_new(struct bus *bus, const struct rpc_server_ops *ops, void *arg)
{
    struct rpc_server *server = calloc(1, sizeof(*server));
    if (!server)
        return NULL;
    const struct bus_settings *settings = &bus->settings;
    char hex[ID_HEX_SIZE];
    id_new_hex(hex);
    server->intake = intake_new(bus, ops, arg, server, pass_on);
    if (!server->intake) {
        free(server);
        return NULL;
    }
    server->bus = bus;
    server->ops = *ops;
    server->arg = arg;
    server->shared = settings->attach == BUS_ATTACH_SHARED;
    put_back_init(&server->put_back);
    host_claim_init(&server->claim, settings->server,
                    settings->rabbit.heartbeat_timeout_threshold_s);
    (void)snprintf(server->queue, sizeof(server->queue), "%s.%s", settings->topic,
                   settings->server);
    (void)snprintf(server->fanout_queue, sizeof(server->fanout_queue), "%s_fanout_%s",
                   settings->topic, hex);
    return server;
}

void rpc_server_free(struct rpc_server *server)
{
    if (!server)
        return;
    intake_free(server->intake);
    free(server);
}
