/* SPDX-License-Identifier: Apache-2.0 */
/* common/throttle.c: no more passes than is allowed, whoever asks. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/throttle.h"
#include "tests/unit/canceller.h"

#define RATE 1000000

static struct throttle *new_throttle(void)
{
    struct throttle *throttle = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(throttle_new(RATE, &throttle, &err), 0);
    return throttle;
}

static void without_a_limit_everything_passes(void **state)
{
    (void)state;
    struct throttle *throttle = new_throttle();
    struct error err = ERROR_INIT;
    throttle_free(throttle);
    assert_int_equal(throttle_new(0, &throttle, &err), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(throttle_take(throttle, UINT64_MAX, &err), 0);
    throttle_free(throttle);
    assert_int_equal(throttle_take(NULL, UINT64_MAX, &err), 0);
}

/* As much as a year's worth is behind it when it is let go. */
static void a_limit_can_be_changed(void **state)
{
    (void)state;
    struct throttle *throttle = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(throttle_new(0, &throttle, &err), 0);
    throttle_set(throttle, RATE);
    uint64_t begin_ms = clock_now_ms();
    assert_int_equal(throttle_take(throttle, RATE / 10, &err), 0);
    assert_int_equal(throttle_take(throttle, 1, &err), 0);
    assert_true(clock_now_ms() - begin_ms >= 98);
    throttle_set(throttle, RATE);
    assert_int_equal(throttle_take(throttle, (uint64_t)RATE * 365 * 86400, &err), 0);
    throttle_set(throttle, 2 * RATE);
    assert_int_equal(throttle_take(throttle, 1, &err), 0);
    throttle_set(throttle, 0);
    assert_int_equal(throttle_take(throttle, UINT64_MAX, &err), 0);
    throttle_free(throttle);
}

static void *take_share(void *arg)
{
    struct error err = ERROR_INIT;
    for (unsigned i = 0; i < 50; i++)
        if (throttle_take(arg, RATE / 400 + 1, &err) < 0) /* not a whole number of ms */
            return arg;
    return NULL;
}

/* Four threads take half a second's worth; the first of all passes at once. */
static void the_limit_is_shared(void **state)
{
    (void)state;
    struct throttle *throttle = new_throttle();
    pthread_t threads[4];
    uint64_t begin_ms = clock_now_ms();
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_share, throttle), 0);
    for (size_t i = 0; i < 4; i++) {
        void *failed = NULL;
        (void)pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_true(clock_now_ms() - begin_ms >= 490);
    throttle_free(throttle);
}

static void who_waits_can_be_cancelled(void **state)
{
    (void)state;
    struct throttle *throttle = new_throttle();
    struct error err = ERROR_INIT;
    struct canceller canceller;
    assert_int_equal(throttle_take(throttle, UINT64_C(3600) * RATE, &err), 0);
    canceller_enter(&canceller);
    canceller_start(&canceller, -1);
    assert_cancelled(throttle_take(throttle, 1, &err), &err);
    canceller_join(&canceller);
    canceller_leave(&canceller);
    throttle_free(throttle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_limit_everything_passes),
        cmocka_unit_test(a_limit_can_be_changed),
        cmocka_unit_test(the_limit_is_shared),
        cmocka_unit_test(who_waits_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
