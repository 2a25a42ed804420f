/* SPDX-License-Identifier: Apache-2.0 */
/* See bus.h. The loop: work from other threads, what came in, what is due; then poll(2). */
#include "amqp/bus.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "amqp/bus_int.h"
#include "amqp/bus_settings.h"
#include "amqp/bus_thread.h"
#include "amqp/channel.h"
#include "amqp/messaging_error.h"
#include "amqp/replies.h"
#include "amqp/rpc_client.h"
#include "amqp/rpc_server.h"
#include "amqp/topology.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

static int consuming_up(void *arg, struct error *err)
{
    struct bus *bus = arg;
    int r = channel_open(bus->consuming, TOPOLOGY_CHANNEL, err);
    if (r == 0)
        r = rpc_client_up(bus->client, err);
    if (r == 0)
        r = rpc_server_up(bus->server, err);
    return r;
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
        log_warning("the broker returns a message that was never sent on this connection");
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

static void wake(const struct bus *bus)
{
    const uint64_t one = 1;
    (void)!write(bus->wake_fd, &one, sizeof(one));
}

struct bus *bus_enter(struct bus *bus)
{
    LOCK_SCOPE(&bus->lock);
    bus->callers++;
    return bus;
}

void bus_leave(struct bus **bus)
{
    LOCK_SCOPE(&(*bus)->lock);
    (*bus)->callers--;
    (void)pthread_cond_broadcast(&(*bus)->changed);
}

void bus_work_done(struct bus *bus, struct bus_work *work, int result, const struct error *error)
{
    LOCK_SCOPE(&bus->lock);
    work->result = result;
    if (result < 0)
        work->error = *error;
    work->done = true;
    (void)pthread_cond_broadcast(&bus->changed);
}

int bus_work_run(struct bus *bus, struct bus_work *work, struct error *err)
{
    LOCK_SCOPE(&bus->lock);
    if (bus->stopping)
        return messaging_error(err, ECANCELED, EXC_MESSAGE_DELIVERY_FAILURE, "the bus is stopping");
    if (!bus->started)
        return messaging_error(err, ENOTCONN, EXC_MESSAGE_DELIVERY_FAILURE,
                               "the bus is not started");
    STAILQ_INSERT_TAIL(&bus->queue, work, link);
    wake(bus);
    while (!work->done) /* the bus thread keeps the deadline */
        (void)pthread_cond_wait(&bus->changed, &bus->lock);
    if (work->result < 0)
        *err = work->error;
    return work->result;
}

static struct bus_work *next_work(struct bus *bus)
{
    LOCK_SCOPE(&bus->lock);
    struct bus_work *work = STAILQ_FIRST(&bus->queue);
    if (work)
        STAILQ_REMOVE_HEAD(&bus->queue, link);
    return work;
}

static void start_work(struct bus *bus)
{
    struct bus_work *work;
    while ((work = next_work(bus)))
        work->start(bus, work);
}

static const char *connecting_trouble(const struct bus *bus)
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
    (void)snprintf(bus->trouble.message, sizeof(bus->trouble.message), "%s",
                   connecting_trouble(bus));
    if (!up)
        return;
    bus->connected = true;
    (void)pthread_cond_broadcast(&bus->changed);
}

static bool must_stop(struct bus *bus)
{
    LOCK_SCOPE(&bus->lock);
    return bus->stopping;
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
        {.fd = bus->wake_fd, .events = POLLIN},
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
        (void)!read(bus->wake_fd, &count, sizeof(count));
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
    while (!must_stop(bus)) {
        atomic_store(&bus->turn_ms, clock_now_ms());
        start_work(bus);
        run_parts(bus);
        note_connected(bus);
        wait_for_event(bus);
    }
    rpc_server_detach(bus->server);
    start_work(bus); /* what came before `stopping` fails with all the rest */
    free_parts(bus);
    return NULL;
}

static void bus_destroy(struct bus *bus)
{
    (void)pthread_cond_destroy(&bus->changed);
    (void)pthread_mutex_destroy(&bus->lock);
    if (bus->wake_fd >= 0)
        (void)close(bus->wake_fd);
    bus_settings_clear(&bus->settings);
    free(bus);
}

static struct bus *bus_allocate(void)
{
    struct bus *bus = calloc(1, sizeof(*bus));
    if (!bus)
        return NULL;
    bus->wake_fd = -1;
    clock_cond_init(&bus->changed);
    (void)pthread_mutex_init(&bus->lock, NULL);
    STAILQ_INIT(&bus->queue);
    return bus;
}

static int make_parts(struct bus *bus, const struct rpc_server_ops *server_ops, void *server_arg,
                      struct error *err)
{
    static const struct connection_ops ops = {
        .up = consuming_up,
        .down = consuming_down,
        .content = consuming_content,
        .method = consuming_method,
    };
    const struct bus_settings *settings = &bus->settings;
    const struct connection_setup setup = {.url = settings->url,
                                           .options = &settings->rabbit,
                                           .purpose = "consuming",
                                           .wake_fd = bus->wake_fd,
                                           .ops = &ops,
                                           .arg = bus};
    bus->consuming = connection_new(&setup);
    bus->publisher =
        publisher_new(settings->url, &settings->rabbit, "publishing", bus->wake_fd, bus->consuming);
    bus->notification_publisher =
        settings->notification_url
            ? publisher_new(settings->notification_url, &settings->notification_rabbit,
                            "notification", bus->wake_fd, NULL)
            : bus->publisher;
    bus->server = rpc_server_new(bus, server_ops, server_arg);
    bus->client = rpc_client_new(bus);
    bus->replies = replies_new(bus);
    bool complete = bus->consuming && bus->publisher && bus->notification_publisher &&
                    bus->server && bus->client && bus->replies;
    return complete ? 0 : error_nomem(err);
}

int bus_new(const struct bus_options *options, const struct rpc_server_ops *server_ops,
            void *server_arg, struct bus **ret_bus, struct error *err)
{
    struct bus *bus = bus_allocate();
    if (!bus)
        return error_nomem(err);
    int r = bus_settings_init(&bus->settings, options, err);
    if (r == 0) {
        bus->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (bus->wake_fd < 0)
            r = error_errno(err, errno, "eventfd");
    }
    if (r == 0) {
        r = make_parts(bus, server_ops, server_arg, err);
        if (r < 0)
            free_parts(bus);
    }
    if (r < 0) {
        bus_destroy(bus);
        return r;
    }
    *ret_bus = bus;
    return 0;
}

int bus_start(struct bus *bus, unsigned timeout_ms, struct error *err)
{
    const struct timespec deadline = clock_deadline(timeout_ms);
    LOCK_SCOPE(&bus->lock);
    int r = bus_thread_start(&bus->thread, bus_main, bus);
    if (r != 0)
        return error_errno(err, r, "no thread for the bus");
    (void)pthread_setname_np(bus->thread, "bus");
    bus->started = true;
    if (timeout_ms == 0)
        return 0;
    while (!bus->connected && r == 0)
        r = pthread_cond_timedwait(&bus->changed, &bus->lock, &deadline);
    if (bus->connected)
        return 0;
    const char *trouble = bus->trouble.message;
    return messaging_error(err, ETIMEDOUT, EXC_MESSAGE_DELIVERY_FAILURE, "%s",
                           trouble[0] != '\0' ? trouble : "no answer from the AMQP server yet");
}

static void start_detach(struct bus *bus, struct bus_work *work)
{
    rpc_server_detach(bus->server);
    bus_work_done(bus, work, 0, NULL);
}

void bus_detach(struct bus *bus)
{
    BUS_SCOPE(bus);
    struct error ignored = ERROR_INIT; /* not started or stopping: nothing is consumed */
    struct bus_work work = {.start = start_detach};
    (void)bus_work_run(bus, &work, &ignored);
}

static void start_standing_aside(struct bus *bus, struct bus_work *work)
{
    rpc_server_stand_aside(bus->server);
    bus_work_done(bus, work, 0, NULL);
}

void bus_stand_aside(struct bus *bus, enum bus_aside reason, bool on)
{
    BUS_SCOPE(bus);
    struct error ignored = ERROR_INIT; /* not started or stopping: nothing is consumed */
    struct bus_work work = {.start = start_standing_aside};
    unsigned before = on ? atomic_fetch_or(&bus->aside, (unsigned)reason)
                         : atomic_fetch_and(&bus->aside, ~(unsigned)reason);
    if (((before & (unsigned)reason) != 0) != on)
        (void)bus_work_run(bus, &work, &ignored);
}

bool bus_attached(struct bus *bus)
{
    return atomic_load(&bus->attached);
}

bool bus_connected(struct bus *bus)
{
    return atomic_load(&bus->up);
}

void bus_watch(struct bus *bus, unsigned interval_ms)
{
    atomic_store(&bus->watch_interval_ms, interval_ms);
    wake(bus);
}

bool bus_alive(struct bus *bus, unsigned within_ms)
{
    uint64_t turn_ms = atomic_load(&bus->turn_ms);
    return turn_ms == 0 || clock_now_ms() <= turn_ms + within_ms;
}

static bool begin_stop(struct bus *bus)
{
    LOCK_SCOPE(&bus->lock);
    bus->stopping = true;
    wake(bus);
    return bus->started;
}

static void wait_for_callers(struct bus *bus)
{
    LOCK_SCOPE(&bus->lock);
    while (bus->callers > 0)
        (void)pthread_cond_wait(&bus->changed, &bus->lock);
}

void bus_free(struct bus *bus)
{
    if (!bus)
        return;
    if (begin_stop(bus))
        (void)pthread_join(bus->thread, NULL);
    else
        free_parts(bus);
    wait_for_callers(bus);
    bus_destroy(bus);
}
