/* SPDX-License-Identifier: Apache-2.0 */
/* See bus.h. The loop: work from other threads, what came in, what is due; then poll(2). */
#include "amqp/bus.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "amqp/bus_int.h"
#include "amqp/bus_thread.h"
#include "amqp/channel.h"
#include "amqp/connection.h"
#include "amqp/container.h"
#include "amqp/messaging_error.h"
#include "amqp/publisher.h"
#include "amqp/replies.h"
#include "amqp/rpc_client.h"
#include "amqp/rpc_server.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

static int consuming_up(void *arg, struct error *err)
{
    struct bus *bus = arg;
    int r = rpc_client_up(bus->client, err);
    if (r < 0)
        return r;
    return rpc_server_up(bus->server, err);
}

static void consuming_down(void *arg)
{
    struct bus *bus = arg;
    rpc_client_down(bus->client);
    rpc_server_down(bus->server);
}

static void consuming_content(void *arg, const struct amqp_content *content)
{
    struct bus *bus = arg;
    if (content->returned)
        log_warning("the broker returns a message that was never sent on this connection: dropped");
    else if (content->channel == SERVER_CHANNEL)
        rpc_server_request(bus->server, content);
    else if (content->channel == REPLY_CHANNEL)
        rpc_client_reply(bus->client, content);
}

static void consumer_cancelled(struct bus *bus, amqp_channel_t channel, amqp_bytes_t tag)
{
    if (channel == SERVER_CHANNEL)
        rpc_server_cancelled(bus->server, tag);
    else if (channel == REPLY_CHANNEL)
        rpc_client_cancelled(bus->client);
}

static void consuming_method(void *arg, amqp_channel_t channel, const amqp_method_t *method)
{
    struct bus *bus = arg;
    if (method->id == AMQP_BASIC_CANCEL_METHOD)
        consumer_cancelled(bus, channel,
                           ((const amqp_basic_cancel_t *)method->decoded)->consumer_tag);
    else if (method->id == AMQP_BASIC_QOS_OK_METHOD && channel == SERVER_CHANNEL)
        rpc_server_answered(bus->server);
}

const char *bus_trouble(const struct bus *bus)
{
    const char *trouble = connection_trouble(bus->consuming);
    return trouble[0] != '\0' ? trouble : connection_trouble(publisher_connection(bus->publisher));
}

/* For bus_start() and bus_connected(). */
static void note_connected(struct bus *bus)
{
    bool up =
        connection_is_up(bus->consuming) && connection_is_up(publisher_connection(bus->publisher));
    atomic_store(&bus->up, up);
    LOCK_SCOPE(&bus->lock);
    if (bus->connected)
        return;
    (void)snprintf(bus->trouble.message, sizeof(bus->trouble.message), "%s", bus_trouble(bus));
    if (!up)
        return;
    bus->connected = true;
    (void)pthread_cond_broadcast(&bus->changed);
}

/* For bus_broker(). */
static void note_broker(struct bus *bus)
{
    char broker[BUS_BROKER_MAX] = "";
    if (bus_connected(bus)) {
        const struct transport_host *host = connection_host(bus->consuming);
        bool is_ipv6 = strchr(host->hostname, ':') != NULL;
        (void)snprintf(broker, sizeof(broker), "%s%s%s:%u", is_ipv6 ? "[" : "", host->hostname,
                       is_ipv6 ? "]" : "", host->port);
    }
    LOCK_SCOPE(&bus->lock);
    memcpy(bus->broker, broker, sizeof(broker));
}

static void run_parts(struct bus *bus)
{
    connection_run(bus->consuming, clock_now_ms());
    uint64_t now_ms = clock_now_ms();
    rpc_server_run(bus->server, now_ms);
    rpc_client_run(bus->client, now_ms);
    replies_run(bus->replies, now_ms);
    publisher_run(bus->publisher, now_ms);
    if (bus->notification_publisher != bus->publisher)
        publisher_run(bus->notification_publisher, now_ms);
}

static uint64_t next_event_ms(const struct bus *bus)
{
    uint64_t next_ms = connection_next_ms(bus->consuming);
    next_ms = earlier_ms(next_ms, rpc_server_next_ms(bus->server));
    next_ms = earlier_ms(next_ms, rpc_client_next_ms(bus->client));
    next_ms = earlier_ms(next_ms, replies_next_ms(bus->replies));
    next_ms = earlier_ms(next_ms, publisher_next_ms(bus->publisher));
    return earlier_ms(next_ms, publisher_next_ms(bus->notification_publisher));
}

static void wait_for_event(struct bus *bus)
{
    struct pollfd fds[] = {
        {.fd = bus->works.wake_fd, .events = POLLIN},
        {.fd = connection_fd(bus->consuming), .events = POLLIN},
        {.fd = connection_fd(publisher_connection(bus->publisher)), .events = POLLIN},
        {.fd = connection_fd(publisher_connection(bus->notification_publisher)), .events = POLLIN},
    };
    uint64_t next_ms = next_event_ms(bus);
    uint64_t now_ms = clock_now_ms();
    unsigned watch_ms = atomic_load(&bus->watch_interval_ms);
    if (watch_ms > 0)
        next_ms = earlier_ms(next_ms, now_ms + watch_ms);
    uint64_t wait_ms = next_ms > now_ms ? next_ms - now_ms : 0;
    int timeout_ms = next_ms == NEVER_MS ? -1 : (int)earlier_ms(wait_ms, 3600 * 1000);
    (void)poll(fds, ARRAY_SIZE(fds), timeout_ms);
    uint64_t count;
    if (fds[0].revents & POLLIN)
        (void)!read(bus->works.wake_fd, &count, sizeof(count));
}

/* Ends everything that waits. */
static void free_parts(struct bus *bus)
{
    rpc_client_free(bus->client);
    publisher_free(bus->publisher);
    if (bus->notification_publisher != bus->publisher)
        publisher_free(bus->notification_publisher);
    connection_free(bus->consuming);
    rpc_server_free(bus->server);
    replies_free(bus->replies);
}

static void *bus_main(void *arg)
{
    struct bus *bus = arg;
    while (!bus_work_is_stopping(&bus->works)) {
        atomic_store(&bus->turn_ms, clock_now_ms());
        bus_work_start_queued(&bus->works);
        run_parts(bus);
        note_connected(bus);
        note_broker(bus);
        wait_for_event(bus);
    }
    log_debug("the bus stops: what still waits fails");
    rpc_server_detach(bus->server);
    bus_work_start_queued(&bus->works); /* what came in time fails with all the rest */
    free_parts(bus);
    return NULL;
}

static void bus_destroy(struct bus *bus)
{
    (void)pthread_cond_destroy(&bus->changed);
    (void)pthread_mutex_destroy(&bus->lock);
    bus_work_destroy(&bus->works);
    bus_settings_clear(&bus->settings);
    free(bus);
}

static bool make_connections(struct bus *bus)
{
    static const struct connection_ops ops = {
        .up = consuming_up,
        .down = consuming_down,
        .content = consuming_content,
        .method = consuming_method,
    };
    static const amqp_channel_t channels[] = {SERVER_CHANNEL, TOPOLOGY_CHANNEL, REPLY_CHANNEL, 0};
    const struct bus_settings *settings = &bus->settings;
    int wake_fd = bus->works.wake_fd;
    const struct connection_setup setup = {.url = settings->url,
                                           .options = &settings->rabbit,
                                           .purpose = "consuming",
                                           .wake_fd = wake_fd,
                                           .channels = channels,
                                           .ops = &ops,
                                           .arg = bus};
    bus->consuming = connection_new(&setup);
    bus->publisher =
        publisher_new(settings->url, &settings->rabbit, "publishing", wake_fd, bus->consuming);
    bus->notification_publisher =
        settings->notification_url
            ? publisher_new(settings->notification_url, &settings->notification_rabbit,
                            "notification", wake_fd, NULL)
            : bus->publisher;
    return bus->consuming && bus->publisher && bus->notification_publisher;
}

static bool make_parts(struct bus *bus, const struct rpc_server_ops *server_ops, void *server_arg)
{
    const struct bus_settings *settings = &bus->settings;
    if (!make_connections(bus))
        return false;
    bus->client = rpc_client_new(settings, bus->consuming, bus->publisher);
    bus->replies = replies_new(settings, bus->publisher);
    if (!bus->client || !bus->replies)
        return false;
    const struct rpc_server_setup setup = {.settings = settings,
                                           .consuming = bus->consuming,
                                           .replies = bus->replies,
                                           .flags = &bus->flags,
                                           .wake_fd = bus->works.wake_fd,
                                           .ops = server_ops,
                                           .arg = server_arg};
    bus->server = rpc_server_new(&setup);
    return bus->server != NULL;
}

int bus_new(const struct bus_options *options, const struct rpc_server_ops *server_ops,
            void *server_arg, struct bus **ret_bus, struct error *err)
{
    struct bus *bus = calloc(1, sizeof(*bus));
    if (!bus)
        return error_nomem(err);
    int r = bus_work_init(&bus->works, err);
    if (r < 0) {
        free(bus);
        return r;
    }
    clock_cond_init(&bus->changed);
    (void)pthread_mutex_init(&bus->lock, NULL);
    r = bus_settings_init(&bus->settings, options, err);
    if (r == 0 && !make_parts(bus, server_ops, server_arg)) {
        free_parts(bus);
        r = error_nomem(err);
    }
    if (r < 0) {
        bus_destroy(bus);
        return r;
    }
    *ret_bus = bus;
    return 0;
}

static int await_connection(struct bus *bus, const struct timespec *deadline, struct error *err)
{
    LOCK_SCOPE(&bus->lock);
    int r = 0;
    while (!bus->connected && r == 0)
        r = pthread_cond_timedwait(&bus->changed, &bus->lock, deadline);
    if (bus->connected)
        return 0;
    const char *trouble = bus->trouble.message;
    return messaging_error(err, ETIMEDOUT, EXC_MESSAGE_DELIVERY_FAILURE, "%s",
                           trouble[0] != '\0' ? trouble : "no answer from the AMQP server yet");
}

int bus_start(struct bus *bus, unsigned timeout_ms, struct error *err)
{
    const struct timespec deadline = clock_deadline(timeout_ms);
    int r = bus_work_open(&bus->works, &bus->thread, bus_main, bus);
    if (r != 0)
        return error_errno(err, r, "no thread for the bus");
    (void)pthread_setname_np(bus->thread, "bus");
    return timeout_ms == 0 ? 0 : await_connection(bus, &deadline, err);
}

/* What other threads have the bus thread do to the server. */
struct server_work {
    struct bus_work work;
    struct rpc_server *server;
    void (*change)(struct rpc_server *server);
};

static void start_server_work(struct bus_work *work)
{
    struct server_work *server_work = CONTAINER_OF(work, struct server_work, work);
    server_work->change(server_work->server);
    bus_work_done(work, 0, NULL);
}

static void change_server(struct bus *bus, void (*change)(struct rpc_server *server))
{
    struct error ignored = ERROR_INIT; /* not started or stopping: nothing is consumed */
    struct server_work server_work = {
        .work.start = start_server_work, .server = bus->server, .change = change};
    (void)bus_work_run(&bus->works, &server_work.work, &ignored);
}

void bus_detach(struct bus *bus)
{
    BUS_SCOPE(bus);
    change_server(bus, rpc_server_detach);
}

void bus_stand_aside(struct bus *bus, enum bus_aside reason, bool on)
{
    BUS_SCOPE(bus);
    unsigned before = on ? atomic_fetch_or(&bus->flags.aside, (unsigned)reason)
                         : atomic_fetch_and(&bus->flags.aside, ~(unsigned)reason);
    if (((before & (unsigned)reason) != 0) != on)
        change_server(bus, rpc_server_stand_aside);
}

bool bus_stands_aside(struct bus *bus, enum bus_aside reason)
{
    return (atomic_load(&bus->flags.aside) & (unsigned)reason) != 0;
}

bool bus_attached(struct bus *bus)
{
    return atomic_load(&bus->flags.attached);
}

bool bus_queue_is_given_out(struct bus *bus)
{
    if (bus->settings.attach != BUS_ATTACH_SHARED && atomic_load(&bus->flags.aside) != 0)
        return bus_connected(bus);
    return bus_attached(bus) || atomic_load(&bus->flags.given_out);
}

bool bus_connected(struct bus *bus)
{
    return atomic_load(&bus->up);
}

void bus_broker(struct bus *bus, char ret_broker[static BUS_BROKER_MAX])
{
    LOCK_SCOPE(&bus->lock);
    memcpy(ret_broker, bus->broker, BUS_BROKER_MAX);
}

void bus_watch(struct bus *bus, unsigned interval_ms)
{
    atomic_store(&bus->watch_interval_ms, interval_ms);
    bus_thread_wake(bus->works.wake_fd);
}

bool bus_alive(struct bus *bus, unsigned within_ms)
{
    uint64_t turn_ms = atomic_load(&bus->turn_ms);
    return turn_ms == 0 || clock_now_ms() <= turn_ms + within_ms;
}

void bus_free(struct bus *bus)
{
    if (!bus)
        return;
    if (bus_work_stop(&bus->works))
        (void)pthread_join(bus->thread, NULL);
    else
        free_parts(bus);
    bus_work_await_callers(&bus->works);
    bus_destroy(bus);
}
