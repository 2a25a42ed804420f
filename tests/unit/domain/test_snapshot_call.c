/* SPDX-License-Identifier: Apache-2.0 */
/* domain/snapshot_call.c: a call that takes for ever is aborted, and no other. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cancel.h"
#include "domain/snapshot_call.h"

static struct error err;
static struct cancel *cancel;
static atomic_int aborts;
static atomic_ullong written_bytes;
static bool never_ends, is_writing, interrupts;
static atomic_int looks_at_stats;
static int operation;
static unsigned long long elapsed_ms; /* of the job that is there */

int __wrap_virDomainAbortJob(virDomainPtr domain)
{
    (void)domain;
    atomic_fetch_add(&aborts, 1);
    return 0;
}

int __wrap_virDomainGetJobStats(virDomainPtr domain, int *type, virTypedParameterPtr *params,
                                int *count, unsigned flags)
{
    int max = 0;
    (void)domain;
    assert_int_equal(flags, 0);
    atomic_fetch_add(&looks_at_stats, 1);
    *type = VIR_DOMAIN_JOB_UNBOUNDED;
    (void)virTypedParamsAddInt(params, count, &max, VIR_DOMAIN_JOB_OPERATION, operation);
    (void)virTypedParamsAddULLong(params, count, &max, VIR_DOMAIN_JOB_DATA_PROCESSED,
                                  atomic_load(&written_bytes));
    if (is_writing)
        atomic_fetch_add(&written_bytes, 1);
    return virTypedParamsAddULLong(params, count, &max, VIR_DOMAIN_JOB_TIME_ELAPSED, elapsed_ms);
}

/* A call that never ends fails when it has been aborted twice: the first may come too early. */
virDomainSnapshotPtr __wrap_virDomainSnapshotCreateXML(virDomainPtr domain, const char *xml,
                                                       unsigned flags)
{
    static int snapshot;
    const struct error reason = {.errnum = ECANCELED, .message = "interrupted"};
    (void)domain;
    assert_string_equal(xml, "<domainsnapshot/>");
    assert_int_equal(flags, 5);
    if (interrupts)
        cancel_request(cancel, &reason);
    for (int i = 0; never_ends && atomic_load(&aborts) < 2; i++) {
        if (i == 60) /* seconds */
            fail_msg("nobody aborts it");
        if (interrupts && atomic_load(&looks_at_stats) > 1 && atomic_load(&aborts) == 0)
            break; /* libvirt gives up itself: it is another's job that is in the way */
        (void)sleep(1);
    }
    return never_ends ? NULL : (virDomainSnapshotPtr)(void *)&snapshot;
}

int __wrap_virDomainSnapshotFree(virDomainSnapshotPtr snapshot)
{
    assert_non_null(snapshot);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    never_ends = is_writing = interrupts = false;
    atomic_store(&aborts, 0);
    atomic_store(&looks_at_stats, 0);
    operation = VIR_DOMAIN_JOB_OPERATION_SNAPSHOT;
    elapsed_ms = 0;
    assert_int_equal(cancel_new(&cancel, &err), 0);
    (void)cancel_enter(cancel);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)cancel_enter(NULL);
    cancel_free(cancel);
    return 0;
}

static int call(void)
{
    return snapshot_call(NULL, "<domainsnapshot/>", 5, 1, &err);
}

static void one_that_is_made(void **state)
{
    (void)state;
    assert_int_equal(call(), 0);
    assert_int_equal(atomic_load(&aborts), 0);
}

static void one_that_is_interrupted(void **state)
{
    (void)state;
    never_ends = is_writing = interrupts = true;
    assert_int_equal(call(), -ECANCELED);
    assert_string_equal(err.message, "interrupted");
    assert_int_equal(call(), -ECANCELED); /* not even begun */
}

static void one_that_came_to_its_end_before(void **state)
{
    (void)state;
    interrupts = true;
    assert_int_equal(call(), 0);
}

static void one_that_writes_no_more(void **state)
{
    (void)state;
    never_ends = true;
    assert_int_equal(call(), -ETIMEDOUT);
    assert_non_null(strstr(err.message, "nothing more"));
}

/* It stands in line behind it. */
static void a_job_of_anothers_is_not_aborted(void **state)
{
    (void)state;
    never_ends = is_writing = interrupts = true;
    operation = VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT;
    assert_int_equal(call(), -ECANCELED);
    assert_int_equal(atomic_load(&aborts), 0);
}

static void nor_another_checkpoint_that_began_before(void **state)
{
    (void)state;
    never_ends = is_writing = interrupts = true;
    elapsed_ms = 3600000;
    assert_int_equal(call(), -ECANCELED);
    assert_int_equal(atomic_load(&aborts), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_made),
        TEST(one_that_is_interrupted),
        TEST(one_that_came_to_its_end_before),
        TEST(one_that_writes_no_more),
        TEST(a_job_of_anothers_is_not_aborted),
        TEST(nor_another_checkpoint_that_began_before),
    };
    return virInitialize() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
