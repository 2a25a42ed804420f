/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/bus.c, without a broker */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "amqp/bus.h"
#include "amqp/bus_look.h"
#include "amqp/notifier.h"
#include "amqp/rpc.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "fixture.h"

static enum rpc_verdict accept_nothing(void *arg, const struct rpc_request *request)
{
    (void)arg;
    (void)request;
    return RPC_PUT_BACK;
}

static void serve_nothing(void *arg, struct rpc_request *request, void *claim)
{
    (void)arg;
    (void)claim;
    rpc_request_free(request);
}

static const struct rpc_server_ops server_ops = {.accept = accept_nothing, .serve = serve_nothing};

static int new_bus(const char *host, struct bus **ret_bus, struct error *err)
{
    static const char *const drivers[] = {"messagingv2", "", NULL}; /* the empty ones: as in oslo */
    static const char *const topics[] = {"notifications", "", NULL};
    static unsigned port;
    char text[128];
    struct transport_url *url = NULL;
    if (port == 0) /* for as long as the program lives */
        (void)closed_port(&port);
    (void)snprintf(text, sizeof(text), "rabbit://u:s3cret@127.0.0.1:%u/", port);
    assert_int_equal(transport_url_parse(text, &url, err), 0);
    const struct bus_options options = {
        .url = url,
        .rabbit = {.rabbit_retry_interval_s = 1,
                   .rabbit_retry_backoff_s = 2,
                   .rabbit_interval_max_s = 30},
        .control_exchange = "nova",
        .topic = "compute",
        .server = host,
        .rpc_response_timeout_s = 1,
        .notification_drivers = drivers,
        .notification_topics = topics,
    };
    int r = bus_new(&options, &server_ops, NULL, ret_bus, err);
    transport_url_free(url);
    return r;
}

static int setup(void **state)
{
    struct bus *bus = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(new_bus("h", &bus, &err), 0);
    *state = bus;
    return 0;
}

static int teardown(void **state)
{
    bus_free(*state);
    return 0;
}

static void names_are_checked(void **state)
{
    (void)state;
    char name[400];
    memset(name, 'h', sizeof(name));
    name[399] = '\0';
    struct bus *bus = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(new_bus("", &bus, &err), -EINVAL);
    assert_int_equal(new_bus(NULL, &bus, &err), -EINVAL);
    assert_int_equal(new_bus(name, &bus, &err), -EINVAL);
    assert_null(bus);
}

static int call_conductor(struct bus *bus, unsigned timeout_ms, struct error *err)
{
    struct request_context *context = NULL;
    json_t *result = NULL;
    assert_int_equal(request_context_new_admin(&context, err), 0);
    const struct rpc_call call = {"conductor", "3.0", context, "m", json_object(), timeout_ms};
    int r = rpc_call(bus, &call, &result, err);
    assert_null(result);
    request_context_free(context);
    return r;
}

static int notify(struct bus *bus, enum notification_kind kind, struct error *err)
{
    struct request_context *context = NULL;
    assert_int_equal(request_context_new_admin(&context, err), 0);
    const struct notification notification = {kind, context, "p", "e", "INFO", json_object()};
    int r = notifier_notify(bus, &notification, err);
    request_context_free(context);
    return r;
}

static int hand_back(struct bus *bus, struct error *err)
{
    static const char body[] = "{\"method\": \"m\", \"_unique_id\": \"u\"}";
    struct rpc_request *request = NULL;
    assert_int_equal(rpc_request_unpack(body, strlen(body), &request, err), 0);
    int r = rpc_hand_back(bus, request, err);
    rpc_request_free(request);
    return r;
}

static void nothing_works_before_the_start(void **state)
{
    struct bus *bus = *state;
    struct error err = ERROR_INIT;
    assert_int_equal(call_conductor(bus, 100, &err), -ENOTCONN);
    assert_false(bus_attached(bus));
    bus_detach(bus);
    assert_int_equal(hand_back(bus, &err), -ENOTCONN);
    bus_free(NULL);
}

/* Why it cannot be looked at, in the words of the connection. */
static void a_look_without_a_broker_tells_why(void **state)
{
    struct bus *bus = *state;
    struct bus_look look = {.ready = 77};
    struct error err = ERROR_INIT;
    assert_int_equal(bus_look(bus, &look, &err), -ENOTCONN);
    assert_string_equal(err.message, "the bus is not started");
    assert_int_equal(bus_start(bus, 0, &err), 0);
    for (int ms = 0; ms < 20000; ms += 10) {
        err = (struct error)ERROR_INIT;
        assert_int_equal(bus_look(bus, &look, &err), -ENOTCONN);
        if (strstr(err.message, "127.0.0.1"))
            break;
        (void)poll(NULL, 0, 10);
    }
    assert_non_null(strstr(err.message, "127.0.0.1"));
    assert_null(strstr(err.message, "s3cret"));
    assert_int_equal(look.ready, 77);
}

static void without_a_broker_all_ends_in_time(void **state)
{
    struct bus *bus = *state;
    struct error err = ERROR_INIT;
    assert_int_equal(bus_start(bus, 2000, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.message, "is unreachable"));
    assert_null(strstr(err.message, "s3cret"));
    uint64_t start_ms = clock_now_ms();
    assert_int_equal(call_conductor(bus, 200, &err), -ETIMEDOUT);
    assert_string_equal(err.exc, EXC_MESSAGING_TIMEOUT);
    assert_string_equal(err.module, "oslo_messaging.exceptions");
    assert_non_null(strstr(err.message, "could not be sent"));
    assert_true(clock_now_ms() - start_ms >= 200);
    assert_int_equal(notify(bus, NOTIFICATION_LEGACY, &err), -ETIMEDOUT);
    assert_int_equal(notify(bus, NOTIFICATION_VERSIONED, &err), 0); /* no topics: nothing to send */
    struct rpc_request cast = {.method = (char[]){"m"}};
    assert_int_equal(rpc_reply(bus, &cast, json_null(), &err), 0);
    bus_detach(bus);
}

static void *hand_back_and_wait(void *arg)
{
    struct error err = ERROR_INIT;
    return (void *)(intptr_t)hand_back(arg, &err);
}

static void *call_for_ever(void *arg)
{
    struct error err = ERROR_INIT;
    return (void *)(intptr_t)call_conductor(arg, 3600000, &err);
}

static void stopping_fails_what_waits(void **state)
{
    struct bus *bus = *state;
    struct error err = ERROR_INIT;
    pthread_t threads[8];
    assert_int_equal(bus_start(bus, 0, &err), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i % 2 == 0 ? call_for_ever : hand_back_and_wait, bus),
            0);
    assert_int_equal(call_conductor(bus, 500, &err), -ETIMEDOUT); /* by now all of them wait */
    bus_free(bus);
    *state = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        void *result = NULL;
        (void)pthread_join(threads[i], &result);
        assert_int_equal((intptr_t)result, -ECANCELED);
    }
}

/* Nothing to do for an hour, and yet it turns. */
static void a_watched_bus_shows_that_it_lives(void **state)
{
    struct bus *bus = *state;
    struct error err = ERROR_INIT;
    char broker[BUS_BROKER_MAX];
    assert_true(bus_alive(bus, 0)); /* not started: nothing hangs */
    assert_int_equal(bus_start(bus, 0, &err), 0);
    assert_false(bus_connected(bus));
    bus_broker(bus, broker);
    assert_string_equal(broker, "");
    bus_watch(bus, 10);
    uint64_t deadline_ms = clock_now_ms() + 20000;
    uint64_t next_ms = 0;
    for (unsigned seen = 0; seen < 10;) { /* by itself it turns to connect: a few times */
        uint64_t now_ms = clock_now_ms();
        assert_true(now_ms < deadline_ms);
        if (now_ms >= next_ms && bus_alive(bus, 200)) {
            seen++;
            next_ms = now_ms + 300;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_checked),     TEST(nothing_works_before_the_start),
        TEST(a_look_without_a_broker_tells_why), TEST(without_a_broker_all_ends_in_time),
        TEST(stopping_fails_what_waits),         TEST(a_watched_bus_shows_that_it_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
