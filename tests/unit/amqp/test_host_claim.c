/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/host_claim.c: whose the host is, by what the broker says and by what it does not say. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "amqp/host_claim.h"
#include "amqp/queue_declare.h"

#define HEARTBEAT_S 60
#define BEYOND_GRACE_MS 200000
#define POLL_MS 5000

static struct host_claim claim;
static uint64_t now_ms;
static bool is_up;
static int declare_errnum, look_errnum; /* what is answered; 0: done */
static unsigned declares, looks;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    (void)clock;
    *ret_now = (struct timespec){.tv_sec = (time_t)(now_ms / 1000),
                                 .tv_nsec = (long)(now_ms % 1000) * 1000000};
    return 0;
}

bool __wrap_connection_is_up(const struct connection *connection)
{
    (void)connection;
    return is_up;
}

int __wrap_queue_declare(struct connection *connection, amqp_channel_t channel,
                         const struct queue_declaration *wanted, struct queue_state *ret_state,
                         struct error *err)
{
    (void)connection, (void)channel, (void)ret_state;
    assert_string_equal(wanted->name, "nova-snapshot-agent.cmp1");
    assert_int_equal(wanted->exclusive, !wanted->passive);
    declares += wanted->passive ? 0 : 1;
    looks += wanted->passive ? 1 : 0;
    int errnum = wanted->passive ? look_errnum : declare_errnum;
    if (errnum == ETIMEDOUT || errnum == ECONNRESET)
        is_up = false;
    return errnum == 0 ? 0 : error_set(err, errnum, EXC_INTERNAL_ERROR, "the broker's words");
}

static int set_up(void **state)
{
    (void)state;
    now_ms = 1000000;
    is_up = true;
    declare_errnum = 0;
    look_errnum = EBUSY;
    declares = looks = 0;
    host_claim_init(&claim, "cmp1", HEARTBEAT_S);
    return 0;
}

static bool take(void)
{
    now_ms += POLL_MS;
    return host_claim_take(&claim, NULL);
}

static void connect_again(uint64_t after_ms)
{
    host_claim_lost(&claim);
    now_ms += after_ms;
    is_up = true;
}

/* The queue that was ours is still declared, long after. */
static void hold_and_lose(void)
{
    assert_true(take());
    declare_errnum = EBUSY;
    connect_again(BEYOND_GRACE_MS);
}

/* Two silences, and it is ours again. */
static void lose_with_a_dead_node(void)
{
    hold_and_lose();
    look_errnum = ETIMEDOUT;
    for (int i = 0; i < 2; i++) {
        assert_false(take());
        connect_again(POLL_MS);
    }
    assert_true(take());
}

static void whoever_holds_it_asks_no_more(void **state)
{
    (void)state;
    assert_true(take());
    assert_true(take());
    assert_int_equal(declares, 1);
}

static void another_agent_is_left_alone_until_it_has_gone(void **state)
{
    (void)state;
    declare_errnum = EBUSY;
    assert_false(take());
    assert_false(take());
    assert_int_equal(looks, 0);
    declare_errnum = 0;
    assert_true(take());
}

static void for_a_while_a_lost_connection_may_have_it(void **state)
{
    (void)state;
    assert_true(take());
    declare_errnum = EBUSY;
    connect_again(1000);
    assert_true(take());
    assert_int_equal(looks, 0);
    now_ms += BEYOND_GRACE_MS;
    assert_false(take());
}

static void where_it_may_not_be_declared_nobody_can_be_told(void **state)
{
    (void)state;
    declare_errnum = EACCES;
    assert_true(take());
    assert_true(take());
    assert_int_equal(declares, 1);
}

static void a_broker_that_says_nothing_has_not_made_it_ours(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        declare_errnum = ETIMEDOUT;
        assert_false(take());
        connect_again(POLL_MS);
    }
    declare_errnum = EHOSTDOWN; /* it rests */
    assert_false(take());
    assert_false(take());
    declare_errnum = EBUSY;
    assert_false(take());
    declare_errnum = 0;
    assert_true(take());
}

static void one_that_died_with_its_node_is_no_other_agents(void **state)
{
    (void)state;
    hold_and_lose();
    look_errnum = ETIMEDOUT;
    for (int i = 0; i < 2; i++) {
        assert_false(take());
        connect_again(POLL_MS);
    }
    for (int i = 0; i < 10; i++)
        assert_true(take()); /* each silence costs the connection */
    assert_int_equal(looks, 2);
    now_ms += 60000;
    assert_false(take()); /* it is down then */
    connect_again(POLL_MS);
    assert_true(take());
    assert_int_equal(looks, 3);
    declare_errnum = 0; /* the node is back, and has forgotten it */
    assert_true(take());
    unsigned asked = declares;
    assert_true(take());
    assert_int_equal(declares, asked);
    declare_errnum = look_errnum = EBUSY;
    connect_again(BEYOND_GRACE_MS); /* who has it now lives */
    assert_false(take());
}

static void that_it_is_dead_is_not_believed_for_ever(void **state)
{
    (void)state;
    lose_with_a_dead_node();
    now_ms += 3600000;
    look_errnum = EBUSY;
    assert_false(take());
    look_errnum = ETIMEDOUT; /* it is another's now, and nothing to us whether that one lives */
    assert_false(take());
    assert_int_equal(looks, 3);
}

/* Its node may be back, and another agent have been faster than we. */
static void that_it_is_dead_is_asked_about_each_minute(void **state)
{
    (void)state;
    lose_with_a_dead_node();
    look_errnum = EBUSY;
    uint64_t silent_ms = now_ms;
    while (take())
        assert_true(now_ms < silent_ms + 60000);
    assert_false(take());
}

static void one_whose_node_is_said_to_be_away_is_no_other_agents(void **state)
{
    (void)state;
    hold_and_lose();
    look_errnum = EHOSTDOWN;
    assert_true(take());
    look_errnum = EBUSY; /* was not for good */
    assert_false(take());
}

static void one_silence_may_be_the_network(void **state)
{
    (void)state;
    hold_and_lose();
    look_errnum = ETIMEDOUT;
    assert_false(take());
    connect_again(POLL_MS);
    look_errnum = EBUSY;
    assert_false(take());
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, set_up)
    const struct CMUnitTest tests[] = {
        TEST(whoever_holds_it_asks_no_more),
        TEST(another_agent_is_left_alone_until_it_has_gone),
        TEST(for_a_while_a_lost_connection_may_have_it),
        TEST(where_it_may_not_be_declared_nobody_can_be_told),
        TEST(a_broker_that_says_nothing_has_not_made_it_ours),
        TEST(one_that_died_with_its_node_is_no_other_agents),
        TEST(that_it_is_dead_is_not_believed_for_ever),
        TEST(that_it_is_dead_is_asked_about_each_minute),
        TEST(one_whose_node_is_said_to_be_away_is_no_other_agents),
        TEST(one_silence_may_be_the_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
