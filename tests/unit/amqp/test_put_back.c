/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/put_back.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "amqp/put_back.h"
#include "common/cleanup.h"

#define MINUTE_MS 60000

static void hold_delivery(struct put_back *put_back, uint64_t delivery_count, bool redelivered)
{
    const struct amqp_content content = {.delivery_count = delivery_count,
                                         .redelivered = redelivered};
    assert_true(put_back_hold(put_back, &content));
}

/* How long after `now_ms` to look; whether to stand aside until then. */
static uint64_t give_back(struct put_back *put_back, uint64_t now_ms, bool stands_aside)
{
    bool aside = !stands_aside;
    uint64_t look_ms = put_back_given(put_back, now_ms, &aside);
    assert_int_equal(aside, stands_aside);
    assert_int_equal(put_back->n_held, 0);
    return look_ms - now_ms;
}

static void what_is_new_is_looked_for_soon(void **state)
{
    (void)state;
    struct put_back put_back;
    put_back_init(&put_back);
    hold_delivery(&put_back, 0, false);
    hold_delivery(&put_back, 0, false);
    assert_int_equal(put_back.n_held, 2);
    assert_int_equal(give_back(&put_back, MINUTE_MS, false), 50);
}

static void a_slow_queue_gets_time_for_it(void **state)
{
    (void)state;
    struct put_back put_back;
    put_back_init(&put_back);
    static const struct {
        uint64_t took_ms;
        uint64_t settles_ms;
    } looks[] = {{0, 50}, {25, 50}, {26, 52}, {120, 240}};
    for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
        uint64_t now_ms = MINUTE_MS;
        uint64_t look_ms = 7;
        hold_delivery(&put_back, 0, false);
        (void)give_back(&put_back, now_ms, false);
        uint64_t answered_ms = now_ms + looks[i].took_ms;
        assert_true(put_back_settles(&put_back, now_ms, answered_ms, &look_ms));
        assert_int_equal(look_ms - answered_ms, looks[i].settles_ms);
        assert_false(put_back_settles(&put_back, look_ms, look_ms + 1, &look_ms));
    }
}

static void what_comes_back_is_kept_away_from(void **state)
{
    (void)state;
    struct put_back put_back;
    put_back_init(&put_back);
    static const unsigned pauses_ms[] = {1000, 8000, 60000, 60000};
    uint64_t now_ms = 10 * MINUTE_MS;
    for (size_t i = 0; i < ARRAY_SIZE(pauses_ms); i++) {
        hold_delivery(&put_back, 0, true);
        hold_delivery(&put_back, 0, true);
        hold_delivery(&put_back, 0, false);
        assert_int_equal(give_back(&put_back, now_ms, true), pauses_ms[i]);
    }
    hold_delivery(&put_back, 0, false);
    assert_int_equal(give_back(&put_back, now_ms, false), 50);
    now_ms += 6 * MINUTE_MS; /* long ago */
    hold_delivery(&put_back, 0, true);
    assert_int_equal(give_back(&put_back, now_ms, true), 1000);
}

static void what_came_back_often_is_kept_away_from_longer(void **state)
{
    (void)state;
    struct put_back put_back;
    put_back_init(&put_back);
    hold_delivery(&put_back, 2, true);
    hold_delivery(&put_back, 1, true);
    assert_int_equal(give_back(&put_back, 10 * MINUTE_MS, true), 8000);
    put_back_init(&put_back);
    hold_delivery(&put_back, UINT64_MAX, true);
    assert_int_equal(give_back(&put_back, 10 * MINUTE_MS, true), 60000);
}

static void looks_grow_rare_until_all_is_taken(void **state)
{
    (void)state;
    struct put_back put_back;
    put_back_init(&put_back);
    uint64_t sum_ms = 0;
    for (unsigned i = 0; i < 13; i++)
        sum_ms += put_back_pause(&put_back);
    assert_int_equal(sum_ms, 10 * ((1 << 13) - 1));
    assert_int_equal(put_back_pause(&put_back), 60000);
    assert_int_equal(put_back_pause(&put_back), 60000);
    put_back_taken(&put_back);
    assert_int_equal(put_back_pause(&put_back), 10);
}

static void it_says_when_there_is_room_for_no_more(void **state)
{
    (void)state;
    struct put_back put_back;
    const struct amqp_content content = {.delivery_tag = 7};
    put_back_init(&put_back);
    for (unsigned i = 1; i < PUT_BACK_MAX; i++)
        assert_true(put_back_hold(&put_back, &content));
    assert_false(put_back_hold(&put_back, &content));
    assert_int_equal(put_back.held[PUT_BACK_MAX - 1], 7);
}

static void a_lost_connection_takes_all_along(void **state)
{
    (void)state;
    struct put_back put_back;
    put_back_init(&put_back);
    hold_delivery(&put_back, 9, true);
    put_back_lost(&put_back);
    assert_int_equal(put_back.n_held, 0);
    hold_delivery(&put_back, 0, false);
    (void)give_back(&put_back, MINUTE_MS, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_new_is_looked_for_soon),
        cmocka_unit_test(a_slow_queue_gets_time_for_it),
        cmocka_unit_test(what_comes_back_is_kept_away_from),
        cmocka_unit_test(what_came_back_often_is_kept_away_from_longer),
        cmocka_unit_test(looks_grow_rare_until_all_is_taken),
        cmocka_unit_test(it_says_when_there_is_room_for_no_more),
        cmocka_unit_test(a_lost_connection_takes_all_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
