/* SPDX-License-Identifier: Apache-2.0 */
/* common/clock.h: a time as one number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/clock.h"

static int64_t ns(time_t tv_sec, long tv_nsec)
{
    return clock_ns(&(struct timespec){.tv_sec = tv_sec, .tv_nsec = tv_nsec});
}

static void a_time_is_one_number(void **state)
{
    (void)state;
    assert_int_equal(ns(0, 0), 0);
    assert_int_equal(ns(0, 999999999), 999999999);
    assert_int_equal(ns(1700000000, 5), INT64_C(1700000000000000005));
    assert_int_equal(ns(-1, 5), -999999995); /* before 1970 */
}

/* What a file system may say of a file: the year 2300, or what a broken one has. */
static void one_that_is_too_far_is_the_farthest(void **state)
{
    (void)state;
    assert_int_equal(ns(INT64_C(10413792000), 5), INT64_MAX);
    assert_int_equal(ns(INT64_MAX, 999999999), INT64_MAX);
    assert_int_equal(ns(INT64_MIN, 0), INT64_MIN);
    assert_int_equal(ns(INT64_MAX / NS_PER_S - 1, 999999999),
                     (INT64_MAX / NS_PER_S - 1) * NS_PER_S + 999999999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_one_number),
        cmocka_unit_test(one_that_is_too_far_is_the_farthest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
