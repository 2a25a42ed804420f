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

int __wrap_virDomainAbortJob(virDomainPtr domain)
{
    (void)domain;
    atomic_fetch_add(&aborts, 1);
    return 0;
}

int __wrap_virDomainGetJobInfo(virDomainPtr domain, virDomainJobInfoPtr info)
{
    (void)domain;
    *info = (virDomainJobInfo){.type = VIR_DOMAIN_JOB_UNBOUNDED,
                               .dataProcessed = atomic_load(&written_bytes)};
    if (is_writing)
        atomic_fetch_add(&written_bytes, 1);
    return 0;
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

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_made),
        TEST(one_that_is_interrupted),
        TEST(one_that_came_to_its_end_before),
        TEST(one_that_writes_no_more),
    };
    return virInitialize() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
