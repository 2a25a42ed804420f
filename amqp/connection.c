/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See connection.h. The order of hosts and the pauses between attempts are kombu's: hosts shuffled
 * at the start, round-robin (or shuffled again), a pause only after a whole round, growing from
 * rabbit_retry_interval by rabbit_retry_backoff up to rabbit_interval_max.
 */
#include "amqp/connection.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "amqp/broker_login.h"
#include "amqp/broker_text.h"
#include "amqp/bus_thread.h"
#include "amqp/content.h"
#include "amqp/status_text.h"
#include "common/clock.h"
#include "common/log.h"

#define FRAMES_PER_RUN 256
#define TRANSIENT_DENIED "transient_nonexcl_queues"

enum connection_phase { PHASE_DOWN, PHASE_CONNECTING, PHASE_UP };

struct connection {
    const struct transport_url *url;
    const struct rabbit_options *options;
    const char *purpose;
    int wake_fd;
    const struct connection *speaker;
    const struct connection_ops *ops;
    void *arg;

    enum connection_phase phase;
    char trouble[ERROR_MESSAGE_MAX]; /* "" = none */
    bool broken;                     /* to be torn down by the next run */
    bool blocked;
    bool denies_transient_queues;

    /* Failover. */
    unsigned order[TRANSPORT_URL_MAX_HOSTS];
    unsigned position; /* in `order`; 0 again = a round is complete */
    unsigned pause_s;
    uint64_t retry_ms;
    uint64_t up_since_ms;

    /* While connecting; the thread writes, the bus thread reads after joining it. */
    pthread_t connector;
    atomic_bool connector_done;
    int login_result;
    struct error login_error;

    amqp_connection_state_t state; /* PHASE_UP only */
    uint64_t heartbeat_ms;         /* the last time librabbitmq could care for heartbeats */
    bool unread;                   /* perhaps inside TLS, where poll(2) does not see it */
    struct content_assembly assembly;
};

static void shuffle(struct connection *connection)
{
    unsigned n = connection->url->n_hosts;
    for (unsigned i = n; i > 1; i--) {
        unsigned random = 0;
        (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
        unsigned other = random % i;
        unsigned kept = connection->order[i - 1];
        connection->order[i - 1] = connection->order[other];
        connection->order[other] = kept;
    }
}

struct connection *connection_new(const struct transport_url *url,
                                  const struct rabbit_options *options, const char *purpose,
                                  int wake_fd, const struct connection *speaker,
                                  const struct connection_ops *ops, void *arg)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    if (!connection)
        return NULL;
    connection->url = url;
    connection->options = options;
    connection->purpose = purpose;
    connection->wake_fd = wake_fd;
    connection->speaker = speaker;
    connection->ops = ops;
    connection->arg = arg;
    connection->pause_s = options->rabbit_retry_interval_s;
    for (unsigned i = 0; i < url->n_hosts; i++)
        connection->order[i] = i;
    shuffle(connection);
    return connection;
}

static const struct transport_host *current_host(const struct connection *connection)
{
    return &connection->url->hosts[connection->order[connection->position]];
}

/* The next host; after a whole round also a pause. */
static void schedule_retry(struct connection *connection, uint64_t now_ms)
{
    connection->phase = PHASE_DOWN;
    connection->retry_ms = now_ms;
    connection->position = (connection->position + 1) % connection->url->n_hosts;
    if (connection->position != 0)
        return;
    const struct rabbit_options *options = connection->options;
    unsigned pause_s = connection->pause_s > 0 ? connection->pause_s : 1;
    connection->retry_ms = now_ms + (uint64_t)pause_s * 1000;
    connection->pause_s = pause_s + options->rabbit_retry_backoff_s;
    if (connection->pause_s > options->rabbit_interval_max_s)
        connection->pause_s = options->rabbit_interval_max_s;
    const char *strategy = options->kombu_failover_strategy;
    if (strategy && strcmp(strategy, "shuffle") == 0)
        shuffle(connection);
}

static void log_retry(const struct connection *connection, uint64_t now_ms)
{
    uint64_t pause_ms = connection->retry_ms > now_ms ? connection->retry_ms - now_ms : 0;
    bool is_said = connection->speaker && !connection_is_up(connection->speaker);
    log_write(is_said ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, LOG_HERE,
              "%s connection: %s; trying again in %" PRIu64 " s", connection->purpose,
              connection->trouble, pause_ms / 1000);
}

static void *connector_main(void *arg)
{
    struct connection *connection = arg;
    connection->login_error = (struct error)ERROR_INIT;
    connection->login_result =
        broker_login(connection->url, current_host(connection), connection->options,
                     &connection->state, &connection->login_error);
    atomic_store(&connection->connector_done, true);
    const uint64_t one = 1;
    (void)!write(connection->wake_fd, &one, sizeof(one));
    return NULL;
}

static void start_connecting(struct connection *connection, uint64_t now_ms)
{
    atomic_store(&connection->connector_done, false);
    int r = bus_thread_start(&connection->connector, connector_main, connection);
    if (r == 0) {
        connection->phase = PHASE_CONNECTING;
        return;
    }
    struct error error;
    (void)error_errno(&error, r, "no thread to connect with");
    (void)snprintf(connection->trouble, sizeof(connection->trouble), "%s", error.message);
    schedule_retry(connection, now_ms);
    log_retry(connection, now_ms);
}

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
    const struct transport_host *host = current_host(connection);
    connection->phase = PHASE_UP;
    connection->up_since_ms = now_ms;
    connection->heartbeat_ms = now_ms;
    struct error error = ERROR_INIT;
    int r = connection->ops->up(connection->arg, &error);
    if (r == 0 && !connection->broken) {
        log_info("%s connection: connected to AMQP server on %s:%u", connection->purpose,
                 host->hostname, host->port);
        connection->trouble[0] = '\0';
        return;
    }
    if (r < 0) /* else it was lost meanwhile, and why is there */
        (void)snprintf(connection->trouble, sizeof(connection->trouble), "%s", error.message);
    tear_down(connection);
    connection->ops->down(connection->arg);
    schedule_retry(connection, now_ms);
    log_retry(connection, now_ms);
}

static void finish_connecting(struct connection *connection, uint64_t now_ms)
{
    (void)pthread_join(connection->connector, NULL);
    if (connection->login_result == 0) {
        bring_up(connection, now_ms);
        return;
    }
    (void)snprintf(connection->trouble, sizeof(connection->trouble), "%s",
                   connection->login_error.message);
    schedule_retry(connection, now_ms);
    log_retry(connection, now_ms);
}

/* A connection that lived is retried at once; one that died young counts as a failed attempt. */
static void lose(struct connection *connection, uint64_t now_ms)
{
    uint64_t first_pause_ms = (uint64_t)connection->options->rabbit_retry_interval_s * 1000;
    bool lived = now_ms - connection->up_since_ms > first_pause_ms;
    tear_down(connection);
    connection->ops->down(connection->arg);
    if (lived) {
        connection->phase = PHASE_DOWN;
        connection->position = (connection->position + 1) % connection->url->n_hosts;
        connection->pause_s = connection->options->rabbit_retry_interval_s;
        connection->retry_ms = now_ms;
    } else {
        schedule_retry(connection, now_ms);
    }
    log_retry(connection, now_ms);
}

static void drop_for_close(struct connection *connection, const char *what, uint16_t code,
                           amqp_bytes_t text)
{
    char words[BROKER_TEXT_SIZE];
    char reason[BROKER_TEXT_SIZE + 64];
    if (code == AMQP_INTERNAL_ERROR &&
        memmem(text.bytes, text.len, TRANSIENT_DENIED, sizeof(TRANSIENT_DENIED) - 1))
        connection->denies_transient_queues = true;
    broker_text(code, text, words);
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
        log_warning("%s connection: the broker blocks publishing", connection->purpose);
        return;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        connection->blocked = false;
        log_info("%s connection: the broker takes messages again", connection->purpose);
        return;
    case AMQP_CHANNEL_CLOSE_METHOD: {
        const amqp_channel_close_t *closing = method->decoded;
        drop_for_close(connection, "channel", closing->reply_code, closing->reply_text);
        return;
    }
    case AMQP_CONNECTION_CLOSE_METHOD: {
        const amqp_connection_close_t *closing = method->decoded;
        drop_for_close(connection, "connection", closing->reply_code, closing->reply_text);
        amqp_connection_close_ok_t ok = {0};
        (void)amqp_send_method(connection->state, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
        return;
    }
    default:
        connection->ops->method(connection->arg, frame->channel, method);
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
        connection->ops->content(connection->arg, content);
        content_assembly_reset(&connection->assembly, content);
    }
}

/* Also where librabbitmq sends our heartbeats and notices missing ones. */
static void read_frames(struct connection *connection, uint64_t now_ms)
{
    connection->heartbeat_ms = now_ms;
    connection->unread = true;
    for (int i = 0; i < FRAMES_PER_RUN && !connection->broken; i++) {
        const struct timeval no_wait = {0};
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
        lose(connection, now_ms);
    if (connection->phase == PHASE_CONNECTING && atomic_load(&connection->connector_done))
        finish_connecting(connection, now_ms);
    if (connection->phase == PHASE_DOWN && now_ms >= connection->retry_ms)
        start_connecting(connection, now_ms);
}

uint64_t connection_next_ms(const struct connection *connection)
{
    if (connection->phase == PHASE_CONNECTING)
        return NEVER_MS;
    if (connection->phase == PHASE_DOWN)
        return connection->retry_ms;
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

bool connection_is_blocked(const struct connection *connection)
{
    return connection->blocked;
}

bool connection_denies_transient_queues(const struct connection *connection)
{
    return connection->denies_transient_queues;
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
    (void)snprintf(connection->trouble, sizeof(connection->trouble), "lost: %.512s", reason);
}

int connection_sent(struct connection *connection, int status, const char *what, struct error *err)
{
    char text[STATUS_TEXT_SIZE];
    if (status == AMQP_STATUS_OK)
        return 0;
    connection_drop(connection, status_text(status, text));
    return error_set(err, ECONNRESET, EXC_INTERNAL_ERROR, "%s: %s", what, text);
}

static int errnum_of(uint16_t reply_code)
{
    switch (reply_code) {
    case AMQP_ACCESS_REFUSED:
        return EACCES;
    case AMQP_NOT_FOUND:
        return ENOENT;
    case AMQP_PRECONDITION_FAILED:
        return EEXIST;
    case AMQP_RESOURCE_LOCKED:
        return EBUSY;
    default:
        return EPROTO;
    }
}

static int reopen_after_close(struct connection *connection, amqp_channel_t channel,
                              const amqp_channel_close_t *closing, const char *what,
                              struct error *err)
{
    char words[BROKER_TEXT_SIZE];
    int errnum = errnum_of(closing->reply_code);
    broker_text(closing->reply_code, closing->reply_text, words);
    (void)error_set(err, errnum, EXC_INTERNAL_ERROR, "%s: %s", what, words);
    amqp_channel_close_ok_t ok = {0};
    struct error reopening = ERROR_INIT;
    int r = connection_sent(
        connection, amqp_send_method(connection->state, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok),
        what, &reopening);
    if (r == 0)
        r = connection_open_channel(connection, channel, &reopening);
    if (r == 0)
        return -errnum;
    *err = reopening;
    return r;
}

int connection_answered(struct connection *connection, amqp_channel_t channel, const char *what,
                        struct error *err)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection->state);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return 0;
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) {
        if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD)
            return reopen_after_close(connection, channel, reply.reply.decoded, what, err);
        const amqp_connection_close_t *closing = reply.reply.decoded;
        drop_for_close(connection, "connection", closing->reply_code, closing->reply_text);
    } else {
        char text[STATUS_TEXT_SIZE];
        connection_drop(connection, status_text(reply.library_error, text));
    }
    return error_set(err, ECONNRESET, EXC_INTERNAL_ERROR, "%s: %s", what, connection->trouble);
}

/* A channel that may not even be opened is not opened again: no more of this connection. */
int connection_open_channel(struct connection *connection, amqp_channel_t channel,
                            struct error *err)
{
    (void)amqp_channel_open(connection->state, channel);
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection->state);
    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION ||
        reply.reply.id != AMQP_CHANNEL_CLOSE_METHOD)
        return connection_answered(connection, channel, "channel.open", err);
    const amqp_channel_close_t *closing = reply.reply.decoded;
    drop_for_close(connection, "channel", closing->reply_code, closing->reply_text);
    return error_set(err, ECONNRESET, EXC_INTERNAL_ERROR, "channel.open: %s", connection->trouble);
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
