/* SPDX-License-Identifier: Apache-2.0 */
/* common/retry.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/retry.h"
#include "tests/unit/canceller.h"

static void the_attempts_are_counted(void **state)
{
    (void)state;
    const struct retry_policy policy = {3, 1, 2, 10000};
    struct retry retry = retry_begin(&policy);
    assert_true(retry_wait(&retry, 0));
    assert_true(retry_wait(&retry, 0));
    assert_int_equal(retry.attempt, 3);
    assert_false(retry_wait(&retry, 0));

    const struct retry_policy once = {0, 1, 1, 10000};
    retry = retry_begin(&once);
    assert_false(retry_wait(&retry, 0));
}

static void the_delays_grow_to_their_limit(void **state)
{
    (void)state;
    const struct retry_policy policy = {4, 20, 40, 10000};
    struct retry retry = retry_begin(&policy);
    const unsigned least[] = {10, 20, 20};
    for (size_t i = 0; i < 3; i++) {
        uint64_t begun_ms = clock_now_ms();
        assert_true(retry_wait(&retry, 0));
        assert_true(clock_now_ms() - begun_ms + 1 >= least[i]);
    }
}

static void retry_after_is_a_minimum(void **state)
{
    (void)state;
    const struct retry_policy policy = {2, 1, 1, 10000};
    struct retry retry = retry_begin(&policy);
    uint64_t begun_ms = clock_now_ms();
    assert_true(retry_wait(&retry, 50));
    assert_true(clock_now_ms() - begun_ms >= 49);
}

static void nothing_waits_beyond_the_deadline(void **state)
{
    (void)state;
    const struct retry_policy policy = {10, 1, 1, 1000};
    struct retry retry = retry_begin(&policy);
    uint64_t begun_ms = clock_now_ms();
    assert_false(retry_wait(&retry, 3600000));
    assert_true(clock_now_ms() - begun_ms < 900);
    assert_in_range(retry_remaining_ms(&retry), 1, 1000);

    const struct retry_policy none = {10, 1, 1, 0};
    retry = retry_begin(&none);
    assert_false(retry_wait(&retry, 0));
    assert_int_equal(retry_remaining_ms(&retry), 1);
}

static void a_wait_ends_when_the_work_is_cancelled(void **state)
{
    (void)state;
    const struct retry_policy policy = {10, 3600000, 3600000, UINT32_MAX};
    struct retry retry = retry_begin(&policy);
    struct canceller canceller;
    struct error err = ERROR_INIT;
    uint64_t begun_ms = clock_now_ms();
    canceller_enter(&canceller);
    canceller_start(&canceller, -1);
    assert_false(retry_wait(&retry, 0));
    assert_true(clock_now_ms() - begun_ms < CANCELLER_MAX_MS);
    assert_cancelled(cancel_check(&err), &err);
    assert_false(retry_wait(&retry, 0)); /* nor does another begin */
    canceller_join(&canceller);
    canceller_leave(&canceller);
}

static void a_shielded_wait_goes_on(void **state)
{
    (void)state;
    const struct retry_policy policy = {2, 20, 20, 10000};
    struct retry retry = retry_begin(&policy);
    struct canceller canceller;
    canceller_enter(&canceller);
    canceller_request(&canceller);
    {
        CANCEL_SHIELD();
        assert_true(retry_wait(&retry, 0));
    }
    canceller_leave(&canceller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_attempts_are_counted),
        cmocka_unit_test(the_delays_grow_to_their_limit),
        cmocka_unit_test(retry_after_is_a_minimum),
        cmocka_unit_test(nothing_waits_beyond_the_deadline),
        cmocka_unit_test(a_wait_ends_when_the_work_is_cancelled),
        cmocka_unit_test(a_shielded_wait_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
