/* SPDX-License-Identifier: Apache-2.0 */
/* agent/progress.c: how fast, and how long it will take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/progress.h"

#define MB 1000000

static void the_rate_is_that_of_the_last_seconds(void **state)
{
    (void)state;
    struct progress progress = {0};
    uint64_t now_ms = 5000, done = 0;
    for (int i = 0; i < 60; i++, now_ms += 1000, done += 10 * MB)
        progress_note(&progress, done, 1000 * MB, now_ms);
    assert_int_equal(progress_bytes_per_s(&progress, now_ms - 1000), 10 * MB);
    assert_int_equal(progress_left_s(&progress, now_ms - 1000), 41);
    for (int i = 0; i < 7; i++, now_ms += 1000, done += 2 * MB)
        progress_note(&progress, done, 1000 * MB, now_ms);
    assert_in_range(progress_bytes_per_s(&progress, now_ms - 1000), 2 * MB, 5 * MB);
}

static void what_stands_still_never_ends(void **state)
{
    (void)state;
    struct progress progress = {0};
    progress_note(&progress, 0, 100 * MB, 1000);
    assert_int_equal(progress_bytes_per_s(&progress, 1000), 0);
    assert_true(progress_left_s(&progress, 2000) == PROGRESS_NEVER_S);
    progress_note(&progress, 10 * MB, 100 * MB, 2000);
    assert_int_equal(progress_left_s(&progress, 2000), 9);
    assert_true(progress_left_s(&progress, 200000) > 1000); /* nobody has noted anything since */
    progress_note(&progress, 100 * MB, 100 * MB, 200000);
    assert_int_equal(progress_left_s(&progress, 200000), 0);
}

static void nothing_is_known_of_nothing(void **state)
{
    (void)state;
    const struct progress progress = {0};
    assert_int_equal(progress_bytes_per_s(&progress, 1000), 0);
    assert_int_equal(progress_left_s(&progress, 1000), 0);
}

/* An upload that Glance has thrown away, and a copy whose guest writes on. */
static void what_goes_back_begins_anew(void **state)
{
    (void)state;
    struct progress progress = {0};
    progress_note(&progress, 0, 100 * MB, 1000);
    progress_note(&progress, 50 * MB, 100 * MB, 6000);
    progress_note(&progress, 0, 100 * MB, 7000);
    assert_int_equal(progress_bytes_per_s(&progress, 8000), 0);
    progress_note(&progress, 10 * MB, 100 * MB, 8000);
    assert_int_equal(progress_bytes_per_s(&progress, 8000), 10 * MB);
    progress_note(&progress, 10 * MB, 120 * MB, 9000); /* the guest writes on */
    assert_int_equal(progress_bytes_per_s(&progress, 9000), 5 * MB);
    assert_int_equal(progress.total_bytes, 120 * MB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_is_that_of_the_last_seconds),
        cmocka_unit_test(what_stands_still_never_ends),
        cmocka_unit_test(nothing_is_known_of_nothing),
        cmocka_unit_test(what_goes_back_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
