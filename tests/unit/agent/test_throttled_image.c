/* SPDX-License-Identifier: Apache-2.0 */
/* agent/throttled_image.c: the same bytes, but not before they are allowed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/throttled_image.h"
#include "common/clock.h"
#include "tests/unit/canceller.h"
#include "tests/unit/memory_source.h"

#define PIECE 100000
#define PIECES 6
#define RATE (4 * PIECE)

static struct error err;

/* Reads all of it; returns how many ms that takes. */
static uint64_t read_all(struct image_source *source, const unsigned char *bytes)
{
    static char buffer[PIECE];
    uint64_t begin_ms = clock_now_ms(), total = 0;
    for (ssize_t n; (n = source->ops->read(source, buffer, sizeof(buffer), &err)) != 0;) {
        assert_true(n > 0);
        assert_memory_equal(buffer, bytes + total, (size_t)n);
        total += (uint64_t)n;
    }
    assert_int_equal(total, source->size_bytes);
    return clock_now_ms() - begin_ms;
}

/* Of six pieces at four a second the last five wait, each for the one before it. */
static void each_limit_is_kept(void **state)
{
    (void)state;
    for (size_t which = 0; which < 3; which++) {
        struct throttled_image throttled;
        struct throttle *shared = NULL;
        struct memory_source memory;
        struct job job = {.jobs = NULL};
        memory_source_init(&memory, PIECES * PIECE);
        assert_int_equal(throttle_new(RATE, &shared, &err), 0);
        assert_int_equal(
            throttled_image_begin(&throttled, &memory.base, &job, which == 2 ? RATE : 0, 0, &err),
            0);
        if (which < SHARED_THROTTLES)
            throttled.shared[which] = shared;
        assert_true(read_all(&throttled.base, memory.bytes) >= 1200);
        assert_int_equal(throttled.base.ops->rewind(&throttled.base, &err), 0);
        throttled.base.ops->close(&throttled.base); /* the image stays open */
        (void)read_all(&memory.base, memory.bytes);
        memory_source_done(&memory);
        throttled_image_done(&throttled);
        throttle_free(shared);
    }
}

/* Whoever lets an upload go faster has not asked for the guest's disk. */
static void the_disks_limit_holds_whatever_an_operator_allows(void **state)
{
    (void)state;
    const uint64_t allowed[] = {0, 100 * (uint64_t)RATE};
    for (size_t i = 0; i < 2; i++) {
        struct throttled_image throttled;
        struct memory_source memory;
        struct jobs *jobs = NULL;
        struct job job = {.method = "snapshot_instance"};
        memory_source_init(&memory, PIECES * PIECE);
        assert_int_equal(jobs_new(&jobs, &err), 0);
        jobs_add(jobs, &job);
        assert_int_equal(
            throttled_image_begin(&throttled, &memory.base, &job, RATE / 100, RATE, &err), 0);
        throttled.shared[0] = throttled.shared[1] = NULL;
        assert_true(jobs_limit(jobs, "1", JOB_UPLOAD, allowed[i]));
        uint64_t took_ms = read_all(&throttled.base, memory.bytes);
        assert_true(took_ms >= 1200 && took_ms < 60000); /* not at the rate it began with */
        throttled_image_done(&throttled);
        memory_source_done(&memory);
        jobs_remove(&job);
        jobs_free(jobs);
    }
}

/* While it is read, or before. */
static void an_operator_limits_the_disk_of_a_job(void **state)
{
    (void)state;
    for (int early = 0; early < 2; early++) {
        struct throttled_image throttled;
        struct memory_source memory;
        struct jobs *jobs = NULL;
        struct job job = {.method = "snapshot_instance"};
        memory_source_init(&memory, PIECES * PIECE);
        assert_int_equal(jobs_new(&jobs, &err), 0);
        jobs_add(jobs, &job);
        assert_true(!early || jobs_limit(jobs, "1", JOB_DISK, RATE));
        assert_int_equal(
            throttled_image_begin(&throttled, &memory.base, &job, 0, early ? RATE / 100 : 0, &err),
            0);
        throttled.shared[0] = throttled.shared[1] = NULL;
        jobs_set_throttle(&job, JOB_DISK, throttled.disk);
        assert_true(early || jobs_limit(jobs, "1", JOB_DISK, RATE));
        assert_true(jobs_disk_limit(&job) == RATE);
        uint64_t took_ms = read_all(&throttled.base, memory.bytes);
        assert_true(took_ms >= 1200 && took_ms < 60000);
        throttled_image_done(&throttled);
        assert_false(jobs_limit(jobs, "2", JOB_DISK, 0));
        memory_source_done(&memory);
        jobs_remove(&job);
        jobs_free(jobs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_limit_is_kept),
        cmocka_unit_test(the_disks_limit_holds_whatever_an_operator_allows),
        cmocka_unit_test(an_operator_limits_the_disk_of_a_job)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
