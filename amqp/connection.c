/* SPDX-License-Identifier: Apache-2.0 */
/* See connection.h. */
#include "amqp/connection.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/broker_login.h"
#include "amqp/broker_text.h"
#include "amqp/bus_thread.h"
#include "amqp/failover.h"
#include "amqp/status_text.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metric.h"

#define FRAMES_PER_RUN 256
#define TRANSIENT_DENIED "transient_nonexcl_queues"

enum connection_phase { PHASE_DOWN, PHASE_CONNECTING, PHASE_UP };

struct connection {
    struct connection_setup setup;
    enum connection_phase phase;
    struct failover failover;
    uint64_t up_since_ms;
    char trouble[ERROR_MESSAGE_MAX]; /* "" = none */
    bool broken;                     /* to be torn down by the next run */
    bool blocked;
    bool denies_transient_queues;
    struct silent_queues silent_queues;
    uint64_t max_message_bytes; /* why the broker closed this connection's channel; else 0 */

    /* PHASE_CONNECTING: the connector writes these and `state`, the bus thread reads them after
     * joining it. */
    pthread_t connector;
    atomic_bool connector_done;
    int login_result;
    struct error login_error;

    amqp_connection_state_t state; /* PHASE_UP */
    uint64_t heartbeat_ms;         /* the last time librabbitmq could care for heartbeats */
    bool unread;                   /* perhaps inside TLS, where poll(2) does not see it */
    struct content_assembly assembly;
};

struct connection *connection_new(const struct connection_setup *setup)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    if (!connection)
        return NULL;
    connection->setup = *setup;
    failover_init(&connection->failover, setup->url, setup->options);
    return connection;
}

static void set_trouble(struct connection *connection, const char *prefix, const char *reason)
{
    (void)snprintf(connection->trouble, sizeof(connection->trouble), "%s%.1000s", prefix, reason);
}

/* After failover_failed() or failover_lost(). */
static void retry_later(struct connection *connection, uint64_t now_ms)
{
    const struct failover *failover = &connection->failover;
    const struct connection *speaker = connection->setup.speaker;
    bool is_said = speaker && !connection_is_up(speaker);
    uint64_t pause_ms = failover->retry_ms > now_ms ? failover->retry_ms - now_ms : 0;
    connection->phase = PHASE_DOWN;
    log_write(is_said ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, LOG_HERE,
              "%s connection: %s; trying again in %" PRIu64 " s", connection->setup.purpose,
              connection->trouble, (pause_ms + 999) / 1000);
}

static void *connector_main(void *arg)
{
    struct connection *connection = arg;
    const struct connection_setup *setup = &connection->setup;
    connection->login_error = (struct error)ERROR_INIT;
    connection->login_result =
        broker_login(setup->url, failover_host(&connection->failover), setup->options,
                     setup->channels, &connection->state, &connection->login_error);
    atomic_store(&connection->connector_done, true);
    bus_thread_wake(setup->wake_fd);
    return NULL;
}

static void start_connecting(struct connection *connection, uint64_t now_ms)
{
    const struct transport_host *host = failover_host(&connection->failover);
    log_debug("%s connection: connecting to %s:%u", connection->setup.purpose, host->hostname,
              host->port);
    atomic_store(&connection->connector_done, false);
    int r = bus_thread_start(&connection->connector, connector_main, connection);
    if (r == 0) {
        connection->phase = PHASE_CONNECTING;
        return;
    }
    struct error error;
    (void)error_errno(&error, r, "no thread to connect with");
    set_trouble(connection, "", error.message);
    failover_failed(&connection->failover, now_ms);
    retry_later(connection, now_ms);
}

/* Every channel, delivery tag and consumer is gone with it. */
static void tear_down(struct connection *connection)
{
    (void)amqp_destroy_connection(connection->state);
    connection->state = NULL;
    content_assembly_clear(&connection->assembly);
    connection->broken = false;
    connection->blocked = false;
}

static void bring_up(struct connection *connection, uint64_t now_ms)
{
    const struct transport_host *host = failover_host(&connection->failover);
    const struct connection_setup *setup = &connection->setup;
    connection->phase = PHASE_UP;
    connection->up_since_ms = now_ms;
    connection->heartbeat_ms = now_ms;
    connection->max_message_bytes = 0; /* it may be another by now */
    struct error error = ERROR_INIT;
    int r = setup->ops->up(setup->arg, &error);
    if (r == 0 && !connection->broken) {
        log_info("%s connection: connected to AMQP server on %s:%u", setup->purpose, host->hostname,
                 host->port);
        metric_add(METRIC_CONNECTIONS, METRIC_RABBITMQ, 1);
        connection->trouble[0] = '\0';
        return;
    }
    if (r < 0) /* else it was lost meanwhile, and why is there */
        set_trouble(connection, "", error.message);
    tear_down(connection);
    setup->ops->down(setup->arg);
    failover_failed(&connection->failover, now_ms);
    retry_later(connection, now_ms);
}

static void finish_connecting(struct connection *connection, uint64_t now_ms)
{
    (void)pthread_join(connection->connector, NULL);
    if (connection->login_result == 0) {
        bring_up(connection, now_ms);
        return;
    }
    set_trouble(connection, "", connection->login_error.message);
    failover_failed(&connection->failover, now_ms);
    retry_later(connection, now_ms);
}

static void connection_lost(struct connection *connection, uint64_t now_ms)
{
    tear_down(connection);
    connection->setup.ops->down(connection->setup.arg);
    failover_lost(&connection->failover, connection->up_since_ms, now_ms);
    retry_later(connection, now_ms);
}

void connection_closed(struct connection *connection, const char *what, uint16_t code,
                       amqp_bytes_t text)
{
    char words[BROKER_TEXT_SIZE];
    char reason[BROKER_TEXT_SIZE + 64];
    if (code == AMQP_INTERNAL_ERROR &&
        memmem(text.bytes, text.len, TRANSIENT_DENIED, sizeof(TRANSIENT_DENIED) - 1))
        connection->denies_transient_queues = true;
    broker_text(code, text, words);
    connection->max_message_bytes = broker_text_max_message_bytes(words);
    (void)snprintf(reason, sizeof(reason), "the broker closed the %s: %s", what, words);
    connection_drop(connection, reason);
}

static void take_method(struct connection *connection, const amqp_frame_t *frame)
{
    const amqp_method_t *method = &frame->payload.method;
    switch (method->id) {
    case AMQP_BASIC_DELIVER_METHOD:
    case AMQP_BASIC_RETURN_METHOD:
        content_assembly_begin(&connection->assembly, frame->channel, method);
        return;
    case AMQP_CONNECTION_BLOCKED_METHOD:
        connection->blocked = true;
        log_warning("%s connection: the broker blocks publishing", connection->setup.purpose);
        return;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        connection->blocked = false;
        log_info("%s connection: the broker takes messages again", connection->setup.purpose);
        return;
    case AMQP_CHANNEL_CLOSE_METHOD: {
        const amqp_channel_close_t *closing = method->decoded;
        connection_closed(connection, "channel", closing->reply_code, closing->reply_text);
        return;
    }
    case AMQP_CONNECTION_CLOSE_METHOD: {
        const amqp_connection_close_t *closing = method->decoded;
        connection_closed(connection, "connection", closing->reply_code, closing->reply_text);
        amqp_connection_close_ok_t ok = {0};
        (void)amqp_send_method(connection->state, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
        return;
    }
    default:
        connection->setup.ops->method(connection->setup.arg, frame->channel, method);
    }
}

static void take_frame(struct connection *connection, const amqp_frame_t *frame)
{
    if (frame->frame_type == AMQP_FRAME_METHOD) {
        take_method(connection, frame);
        return;
    }
    const struct amqp_content *content = NULL;
    struct error error = ERROR_INIT;
    int r = 0;
    if (frame->frame_type == AMQP_FRAME_HEADER)
        r = content_assembly_header(&connection->assembly, frame, &content, &error);
    else if (frame->frame_type == AMQP_FRAME_BODY)
        r = content_assembly_body(&connection->assembly, frame, &content, &error);
    if (r < 0) {
        connection_drop(connection, error.message);
    } else if (content) {
        connection->setup.ops->content(connection->setup.arg, content);
        content_assembly_reset(&connection->assembly, content);
    }
}

/* Also where librabbitmq sends our heartbeats and notices missing ones. */
static void read_frames(struct connection *connection, uint64_t now_ms)
{
    connection->heartbeat_ms = now_ms;
    connection->unread = true;
    for (int i = 0; i < FRAMES_PER_RUN && !connection->broken; i++) {
        struct timeval no_wait = {0}; /* not const for librabbitmq before 0.11 */
        errno = 0;
        char text[STATUS_TEXT_SIZE];
        amqp_frame_t frame;
        int status = amqp_simple_wait_frame_noblock(connection->state, &frame, &no_wait);
        if (status == AMQP_STATUS_TIMEOUT) {
            connection->unread = false;
            return;
        }
        if (status != AMQP_STATUS_OK)
            connection_drop(connection, status_text(status, text));
        else
            take_frame(connection, &frame);
        amqp_maybe_release_buffers(connection->state);
    }
}

void connection_run(struct connection *connection, uint64_t now_ms)
{
    if (connection->phase == PHASE_UP && !connection->broken)
        read_frames(connection, now_ms);
    if (connection->phase == PHASE_UP && connection->broken)
        connection_lost(connection, now_ms);
    if (connection->phase == PHASE_CONNECTING && atomic_load(&connection->connector_done))
        finish_connecting(connection, now_ms);
    if (connection->phase == PHASE_DOWN && now_ms >= connection->failover.retry_ms)
        start_connecting(connection, now_ms);
}

uint64_t connection_next_ms(const struct connection *connection)
{
    if (connection->phase == PHASE_CONNECTING)
        return NEVER_MS;
    if (connection->phase == PHASE_DOWN)
        return connection->failover.retry_ms;
    if (connection->broken || connection->unread || amqp_frames_enqueued(connection->state) ||
        amqp_data_in_buffer(connection->state))
        return 0;
    int heartbeat_s = amqp_get_heartbeat(connection->state);
    return heartbeat_s > 0 ? connection->heartbeat_ms + (uint64_t)heartbeat_s * 250 : NEVER_MS;
}

int connection_fd(const struct connection *connection)
{
    return connection_is_up(connection) ? amqp_get_sockfd(connection->state) : -1;
}

bool connection_is_up(const struct connection *connection)
{
    return connection->phase == PHASE_UP && !connection->broken;
}

const struct transport_host *connection_host(const struct connection *connection)
{
    return failover_host(&connection->failover);
}

bool connection_is_blocked(const struct connection *connection)
{
    return connection->blocked;
}

bool connection_denies_transient_queues(const struct connection *connection)
{
    return connection->denies_transient_queues;
}

struct silent_queues *connection_silent_queues(struct connection *connection)
{
    return &connection->silent_queues;
}

uint64_t connection_max_message_bytes(const struct connection *connection)
{
    return connection->max_message_bytes;
}

const char *connection_trouble(const struct connection *connection)
{
    if (connection->trouble[0] == '\0' && connection->blocked)
        return "the broker blocks publishing";
    return connection->trouble;
}

amqp_connection_state_t connection_state(const struct connection *connection)
{
    return connection->state;
}

void connection_drop(struct connection *connection, const char *reason)
{
    if (connection->broken)
        return;
    connection->broken = true;
    set_trouble(connection, "lost: ", reason);
}

void connection_free(struct connection *connection)
{
    if (!connection)
        return;
    if (connection->phase == PHASE_CONNECTING) {
        (void)pthread_join(connection->connector, NULL);
        if (connection->login_result == 0)
            connection->phase = PHASE_UP;
    }
    if (connection_is_up(connection))
        (void)amqp_connection_close(connection->state, AMQP_REPLY_SUCCESS);
    if (connection->phase == PHASE_UP)
        tear_down(connection);
    free(connection);
}
