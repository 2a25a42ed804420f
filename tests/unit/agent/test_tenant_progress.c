/* SPDX-License-Identifier: Apache-2.0 */
/* agent/tenant_progress.c: what a tenant is told, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/jobs.h"
#include "agent/tenant_progress.h"

static struct jobs *jobs;
static struct job job;
static struct tenant_progress progress;

static int setup(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    job = (struct job){.method = "snapshot_instance"};
    assert_int_equal(jobs_new(&jobs, &err), 0);
    jobs_add(jobs, &job);
    tenant_progress_begin(&progress, &job, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    jobs_remove(&job);
    jobs_free(jobs);
    return 0;
}

static void a_whole_is_copied_and_uploaded(void **state)
{
    (void)state;
    assert_int_equal(jobs_percent(&job), 0);
    jobs_set_span(&job, 0, 50);
    jobs_set_progress(&job, 60, 100);
    assert_int_equal(jobs_percent(&job), 30);
    jobs_set_progress(&job, 200, 100); /* the end has moved since */
    assert_int_equal(jobs_percent(&job), 50);
    jobs_set_span(&job, 50, 100);
    assert_int_equal(jobs_percent(&job), 50);
    jobs_set_progress(&job, 100, 100);
    assert_int_equal(jobs_percent(&job), 100);
}

static void small_steps_are_not_told(void **state)
{
    (void)state;
    jobs_set_span(&job, 0, 100);
    jobs_set_progress(&job, 4, 100);
    assert_int_equal(tenant_progress_next(&progress, 1000), -1);
    jobs_set_progress(&job, 5, 100);
    assert_int_equal(tenant_progress_next(&progress, 1000), 5);
    jobs_set_progress(&job, 9, 100);
    assert_int_equal(tenant_progress_next(&progress, 100000), -1);
}

static void nobody_is_told_more_often_than_each_five_seconds(void **state)
{
    (void)state;
    jobs_set_span(&job, 0, 100);
    jobs_set_progress(&job, 10, 100);
    assert_int_equal(tenant_progress_next(&progress, 1000), 10);
    jobs_set_progress(&job, 90, 100);
    assert_int_equal(tenant_progress_next(&progress, 5999), -1);
    assert_int_equal(tenant_progress_next(&progress, 6000), 90);
}

static void it_never_goes_back(void **state)
{
    (void)state;
    jobs_set_span(&job, 0, 100);
    jobs_set_progress(&job, 60, 100);
    assert_int_equal(tenant_progress_next(&progress, 1000), 60);
    jobs_set_progress(&job, 0, 100); /* sent once more */
    assert_int_equal(tenant_progress_next(&progress, 9000), -1);
    jobs_set_progress(&job, 64, 100);
    assert_int_equal(tenant_progress_next(&progress, 20000), -1);
    jobs_set_progress(&job, 65, 100);
    assert_int_equal(tenant_progress_next(&progress, 20000), 65);
}

static void what_something_else_has_left_is_replaced(void **state)
{
    (void)state;
    tenant_progress_begin(&progress, &job, 100);
    assert_int_equal(tenant_progress_next(&progress, 1000), 0);
    assert_int_equal(tenant_progress_next(&progress, 9000), -1);
}

static void nothing_is_told_of_no_job(void **state)
{
    (void)state;
    tenant_progress_begin(&progress, NULL, 100);
    assert_int_equal(tenant_progress_next(&progress, 1000), -1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_whole_is_copied_and_uploaded),
        TEST(small_steps_are_not_told),
        TEST(nobody_is_told_more_often_than_each_five_seconds),
        TEST(it_never_goes_back),
        TEST(what_something_else_has_left_is_replaced),
        TEST(nothing_is_told_of_no_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
