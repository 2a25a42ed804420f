/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/notifier.c, publisher.c, publisher_send.c: how long a notification is waited for, and by
 * whom. The bus thread and the broker are played here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "amqp/bus_int.h"
#include "amqp/channel.h"
#include "amqp/notifier.h"
#include "amqp/publisher.h"
#include "amqp/topology.h"
#include "common/cancel.h"
#include "common/clock.h"

#define TIMEOUT_S 60
#define TICK_MS 100

static struct {
    uint64_t now_ms;
    uint64_t away_until_ms;    /* the node of the first topic's queue */
    uint64_t blocked_until_ms; /* by the broker */
    struct cancel *cancelled;  /* at the first tick */
    char published[256];
    uint64_t n_published, n_confirmed;
} world;

static struct bus bus;
static struct connection_setup connection;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    (void)clock;
    *ret_now = (struct timespec){.tv_sec = (time_t)(world.now_ms / 1000),
                                 .tv_nsec = (long)(world.now_ms % 1000) * 1000000};
    return 0;
}

struct connection *__wrap_connection_new(const struct connection_setup *setup)
{
    connection = *setup;
    return (struct connection *)&connection;
}

void __wrap_connection_free(struct connection *it)
{
    (void)it;
}

bool __wrap_connection_is_up(const struct connection *it)
{
    (void)it;
    return true;
}

bool __wrap_connection_is_blocked(const struct connection *it)
{
    (void)it;
    return world.now_ms < world.blocked_until_ms;
}

const char *__wrap_connection_trouble(const struct connection *it)
{
    (void)it;
    return "";
}

amqp_connection_state_t __wrap_connection_state(const struct connection *it)
{
    (void)it;
    return NULL;
}

uint64_t __wrap_connection_next_ms(const struct connection *it)
{
    (void)it;
    return NEVER_MS;
}

/* What was published before is confirmed. */
void __wrap_connection_run(struct connection *it, uint64_t now_ms)
{
    (void)it, (void)now_ms;
    while (world.n_confirmed < world.n_published) {
        amqp_basic_ack_t ack = {.delivery_tag = ++world.n_confirmed};
        const amqp_method_t method = {.id = AMQP_BASIC_ACK_METHOD, .decoded = &ack};
        connection.ops->method(connection.arg, PUBLISH_CHANNEL, &method);
    }
}

int __wrap_topology_need_queue(struct connection *it, const struct rabbit_options *options,
                               const char *exchange, const char *queue, struct error *err)
{
    (void)it, (void)options;
    assert_string_equal(exchange, "nova");
    if (strcmp(queue, "first.info") != 0 || world.now_ms >= world.away_until_ms)
        return 0;
    return error_set(err, EHOSTDOWN, EXC_INTERNAL_ERROR, "its node is down");
}

int __wrap_amqp_basic_publish(amqp_connection_state_t state, amqp_channel_t channel,
                              amqp_bytes_t exchange, amqp_bytes_t key, amqp_boolean_t mandatory,
                              amqp_boolean_t immediate,
                              const struct amqp_basic_properties_t_ *properties, amqp_bytes_t body)
{
    (void)state, (void)exchange, (void)mandatory, (void)immediate, (void)properties, (void)body;
    assert_int_equal(channel, PUBLISH_CHANNEL);
    size_t used = strlen(world.published);
    (void)snprintf(world.published + used, sizeof(world.published) - used, "%.*s ", (int)key.len,
                   (const char *)key.bytes);
    world.n_published++;
    return AMQP_STATUS_OK;
}

int __wrap_channel_sent(struct connection *it, int status, const char *what, struct error *err)
{
    (void)it, (void)status, (void)what, (void)err;
    return 0;
}

/* The bus thread's turns until it is done. */
int __wrap_bus_work_run(struct bus_work_queue *queue, struct bus_work *work, struct error *err)
{
    work->queue = queue;
    work->start(work);
    while (!work->done) {
        publisher_run(bus.notification_publisher, world.now_ms);
        world.now_ms += TICK_MS;
        assert_true(publisher_next_ms(bus.notification_publisher) != NEVER_MS || work->done);
        if (world.cancelled) {
            const struct error reason = {.errnum = ECANCELED, .message = "the image is gone"};
            cancel_request(world.cancelled, &reason);
        }
    }
    if (work->result < 0)
        *err = work->error;
    return work->result;
}

static int set_up(void **state)
{
    (void)state;
    static char driver[] = "messagingv2", exchange[] = "nova", first[] = "first";
    static char second[] = "second";
    static char *drivers[] = {driver, NULL}, *topics[] = {first, second, NULL};
    struct error err = ERROR_INIT;
    memset(&world, 0, sizeof(world));
    world.now_ms = 1000000;
    bus = (struct bus){.settings = {.control_exchange = exchange,
                                    .rpc_response_timeout_s = TIMEOUT_S,
                                    .notification_drivers = drivers,
                                    .notification_topics = topics}};
    assert_int_equal(bus_work_init(&bus.works, &err), 0);
    bus.notification_publisher = publisher_new(NULL, NULL, "publishing", -1, NULL);
    assert_non_null(bus.notification_publisher);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    publisher_free(bus.notification_publisher);
    bus_work_destroy(&bus.works);
    return 0;
}

static int notify(uint64_t *ret_took_ms, struct error *err)
{
    struct request_context *context = NULL;
    uint64_t start_ms = world.now_ms;
    assert_int_equal(request_context_new_admin(&context, err), 0);
    const struct notification notification = {NOTIFICATION_LEGACY, context, "p", "e", "INFO",
                                              json_object()};
    int r = notifier_notify(&bus, &notification, err);
    request_context_free(context);
    *ret_took_ms = world.now_ms - start_ms;
    return r;
}

static void each_topic_is_sent_to(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    uint64_t took_ms;
    assert_int_equal(notify(&took_ms, &err), 0);
    assert_string_equal(world.published, "first.info second.info ");
}

static void one_that_is_away_holds_up_neither_the_next_nor_us(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    uint64_t took_ms;
    world.away_until_ms = NEVER_MS;
    assert_int_equal(notify(&took_ms, &err), -ETIMEDOUT);
    assert_string_equal(world.published, "second.info ");
    assert_string_equal(err.message, "notification to 'first.info': a message to 'first.info' "
                                     "could not be sent in time: its node is down");
    assert_true(took_ms < 7000);
}

static void one_that_is_back_soon_is_sent_to(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    uint64_t took_ms;
    world.away_until_ms = world.now_ms + 3000;
    assert_int_equal(notify(&took_ms, &err), 0);
    assert_string_equal(world.published, "second.info first.info ");
}

static void all_topics_wait_at_once(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    uint64_t took_ms;
    world.blocked_until_ms = NEVER_MS;
    assert_int_equal(notify(&took_ms, &err), -ETIMEDOUT);
    assert_true(took_ms <= (TIMEOUT_S + 1) * 1000);
    assert_string_equal(world.published, "");
}

static int notify_cancelled(uint64_t *ret_took_ms, struct error *err)
{
    assert_int_equal(cancel_new(&world.cancelled, err), 0);
    (void)cancel_enter(world.cancelled);
    int r = notify(ret_took_ms, err);
    (void)cancel_enter(NULL);
    cancel_free(world.cancelled);
    return r;
}

static void a_cancel_ends_the_wait(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    uint64_t took_ms;
    world.blocked_until_ms = NEVER_MS;
    assert_int_equal(notify_cancelled(&took_ms, &err), -ECANCELED);
    assert_non_null(strstr(err.message, "the image is gone"));
    assert_true(took_ms < 2000);
}

static void a_cancel_keeps_nothing_from_being_sent(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    uint64_t took_ms;
    world.blocked_until_ms = world.now_ms + 500;
    assert_int_equal(notify_cancelled(&took_ms, &err), 0);
    assert_string_equal(world.published, "first.info second.info ");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_topic_is_sent_to),
        TEST(one_that_is_away_holds_up_neither_the_next_nor_us),
        TEST(one_that_is_back_soon_is_sent_to),
        TEST(all_topics_wait_at_once),
        TEST(a_cancel_ends_the_wait),
        TEST(a_cancel_keeps_nothing_from_being_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
