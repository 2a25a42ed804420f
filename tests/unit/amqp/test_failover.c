/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/failover.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "amqp/failover.h"
#include "common/cleanup.h"

#define N_HOSTS 3
#define START_MS 1000000

static struct transport_url *url;
static struct failover failover;

static const struct rabbit_options options = {
    .rabbit_retry_interval_s = 1, .rabbit_retry_backoff_s = 2, .rabbit_interval_max_s = 4};

static int setup(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    if (transport_url_parse("rabbit://u:p@a,u:p@b,u:p@c/", &url, &err) < 0)
        return -1;
    failover_init(&failover, url, &options);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    transport_url_free(url);
    return 0;
}

static void fail_round(uint64_t now_ms)
{
    for (unsigned i = 0; i < N_HOSTS; i++) {
        assert_true(i == 0 || failover.retry_ms == now_ms); /* no pause within a round */
        failover_failed(&failover, now_ms);
    }
}

static void each_host_is_tried_once_a_round(void **state)
{
    (void)state;
    unsigned tried = 0;
    for (unsigned i = 0; i < N_HOSTS; i++) {
        tried |= 1u << (failover_host(&failover) - url->hosts);
        failover_failed(&failover, START_MS);
    }
    assert_int_equal(tried, (1u << N_HOSTS) - 1);
}

/* Up to half of it may be missing. */
static void assert_pause(unsigned pause_ms)
{
    assert_in_range(failover.retry_ms, START_MS + pause_ms / 2, START_MS + pause_ms);
}

static void pauses_grow_to_their_limit(void **state)
{
    (void)state;
    static const unsigned pauses_s[] = {1, 3, 4, 4};
    assert_int_equal(failover.retry_ms, 0);
    for (size_t i = 0; i < ARRAY_SIZE(pauses_s); i++) {
        fail_round(START_MS);
        assert_pause(pauses_s[i] * 1000);
    }
}

/* All have lost the same broker at the same instant. */
static void hosts_do_not_come_back_together(void **state)
{
    (void)state;
    uint64_t first_ms = UINT64_MAX, last_ms = 0;
    for (unsigned i = 0; i < 100; i++) {
        failover_init(&failover, url, &options);
        fail_round(START_MS);
        fail_round(START_MS); /* 3 s */
        first_ms = failover.retry_ms < first_ms ? failover.retry_ms : first_ms;
        last_ms = failover.retry_ms > last_ms ? failover.retry_ms : last_ms;
    }
    assert_true(last_ms - first_ms >= 1000);
}

static void what_lived_is_retried_at_once(void **state)
{
    (void)state;
    fail_round(START_MS);
    fail_round(START_MS);
    const struct transport_host *host = failover_host(&failover);
    failover_lost(&failover, START_MS - 1001, START_MS);
    assert_int_equal(failover.retry_ms, START_MS);
    assert_ptr_not_equal(failover_host(&failover), host);
    for (unsigned i = 1; i < N_HOSTS; i++)
        failover_failed(&failover, START_MS);
    assert_pause(1000); /* as in the beginning */
}

static void what_died_young_has_failed(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N_HOSTS; i++)
        failover_lost(&failover, START_MS - 1000, START_MS);
    assert_pause(1000);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_host_is_tried_once_a_round), TEST(pauses_grow_to_their_limit),
        TEST(hosts_do_not_come_back_together), TEST(what_lived_is_retried_at_once),
        TEST(what_died_young_has_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
