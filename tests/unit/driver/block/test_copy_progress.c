/* SPDX-License-Identifier: Apache-2.0 */
/* driver/block/copy_progress.c: a copy that comes nearer to its end goes on, one that does not is
 * given up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "driver/block/copy_progress.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define LOOK_MS 1000
#define STALL_TIMEOUT_S 10

static uint64_t now_ms;
static struct error err;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    (void)clock;
    *ret_now = (struct timespec){.tv_sec = (time_t)(now_ms / 1000),
                                 .tv_nsec = (long)(now_ms % 1000 * 1000000)};
    return 0;
}

/* A copy of 100 MiB/s, and what its guest writes meanwhile. */
struct copy {
    struct copy_progress progress;
    uint64_t copied_bytes, end_bytes;
};

static struct copy begin(uint64_t disk_bytes)
{
    now_ms = 1000;
    return (struct copy){.progress = copy_progress_begin(), .end_bytes = disk_bytes};
}

static int look(struct copy *copy, uint64_t written_bytes)
{
    now_ms += LOOK_MS;
    copy->copied_bytes += 100 * MIB;
    copy->end_bytes += written_bytes;
    (void)copy_progress_note(&copy->progress, copy->copied_bytes, copy->end_bytes);
    return copy_progress_check(&copy->progress, "vda", STALL_TIMEOUT_S, &err);
}

static void a_guest_that_writes_half_as_fast_is_copied(void **state)
{
    (void)state;
    struct copy copy = begin(10 * GIB);
    while (copy.copied_bytes < copy.end_bytes)
        assert_int_equal(look(&copy, 50 * MIB), 0);
}

static void a_guest_that_writes_as_fast_is_given_up(void **state)
{
    (void)state;
    struct copy copy = begin(10 * GIB);
    int r = 0;
    for (unsigned i = 0; i < 2 * STALL_TIMEOUT_S && r == 0; i++)
        r = look(&copy, i % 2 == 0 ? 190 * MIB : 10 * MIB);
    assert_int_equal(r, -ETIMEDOUT);
    assert_non_null(strstr(err.message, "as fast as it can be copied"));
}

/* The way back takes longer than the timeout. */
static void a_guest_that_wrote_much_once_is_copied(void **state)
{
    (void)state;
    struct copy copy = begin(1 * GIB);
    for (unsigned i = 0; i < 9; i++)
        assert_int_equal(look(&copy, 0), 0);
    assert_int_equal(look(&copy, 3 * GIB), 0);
    while (copy.copied_bytes < copy.end_bytes)
        assert_int_equal(look(&copy, 0), 0);
}

static void a_guest_that_grows_its_rest_is_given_up(void **state)
{
    (void)state;
    struct copy copy = begin(1 * GIB);
    int r = 0;
    for (unsigned i = 0; i < 4 * STALL_TIMEOUT_S && r == 0; i++)
        r = look(&copy, 150 * MIB);
    assert_int_equal(r, -ETIMEDOUT);
}

static void a_copy_that_stands_still_is_given_up(void **state)
{
    (void)state;
    struct copy copy = begin(1 * GIB);
    assert_int_equal(look(&copy, 0), 0);
    now_ms += STALL_TIMEOUT_S * 1000;
    (void)copy_progress_note(&copy.progress, copy.copied_bytes, copy.end_bytes);
    assert_int_equal(copy_progress_check(&copy.progress, "vda", STALL_TIMEOUT_S, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.message, "made no progress for 10 s"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_that_writes_half_as_fast_is_copied),
        cmocka_unit_test(a_guest_that_writes_as_fast_is_given_up),
        cmocka_unit_test(a_guest_that_wrote_much_once_is_copied),
        cmocka_unit_test(a_guest_that_grows_its_rest_is_given_up),
        cmocka_unit_test(a_copy_that_stands_still_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
