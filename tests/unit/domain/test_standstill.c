/* SPDX-License-Identifier: Apache-2.0 */
/* domain/standstill.c: what libvirt tells of a guest is the time it stood still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "domain/standstill.h"

static struct error err;
static struct standstill *standstill;
static virConnectDomainEventCallback tell;
static void *listener;
static virFreeCallback free_listener;
static uint64_t now_ms;

static virConnectPtr some_connection(void)
{
    static int anything;
    return (virConnectPtr)(void *)&anything;
}

virConnectPtr __wrap_virDomainGetConnect(virDomainPtr domain);
virConnectPtr __wrap_virDomainGetConnect(virDomainPtr domain)
{
    (void)domain;
    return some_connection();
}

int __wrap_virConnectDomainEventRegisterAny(virConnectPtr conn, virDomainPtr domain, int event,
                                            virConnectDomainEventGenericCallback callback,
                                            void *opaque, virFreeCallback freecb);
int __wrap_virConnectDomainEventRegisterAny(virConnectPtr conn, virDomainPtr domain, int event,
                                            virConnectDomainEventGenericCallback callback,
                                            void *opaque, virFreeCallback freecb)
{
    (void)domain;
    assert_ptr_equal(conn, some_connection());
    assert_int_equal(event, VIR_DOMAIN_EVENT_ID_LIFECYCLE);
    tell = (virConnectDomainEventCallback)(void (*)(void))callback;
    listener = opaque;
    free_listener = freecb;
    return 7;
}

int __wrap_virConnectDomainEventDeregisterAny(virConnectPtr conn, int callback);
int __wrap_virConnectDomainEventDeregisterAny(virConnectPtr conn, int callback)
{
    assert_ptr_equal(conn, some_connection());
    assert_int_equal(callback, 7);
    free_listener(listener);
    listener = NULL;
    return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    *now = (struct timespec){.tv_sec = now_ms / 1000, .tv_nsec = (long)(now_ms % 1000) * 1000000};
    return 0;
}

static int begin(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    return standstill_begin(NULL, &standstill, &err);
}

static void at(uint64_t ms, int event)
{
    now_ms = ms;
    (void)tell(some_connection(), NULL, event, 0, listener);
}

/* It is not waited for but where the guest stands still. */
static uint64_t end(void)
{
    uint64_t ms = standstill_end(standstill, 60000);
    assert_null(listener);
    return ms;
}

static void from_its_pause_until_it_goes_on(void **state)
{
    (void)state;
    at(1000, VIR_DOMAIN_EVENT_SUSPENDED);
    at(1100, VIR_DOMAIN_EVENT_SUSPENDED);
    at(1250, VIR_DOMAIN_EVENT_RESUMED);
    assert_int_equal(end(), 250);
}

static void or_until_its_end(void **state)
{
    (void)state;
    at(1000, VIR_DOMAIN_EVENT_SUSPENDED);
    at(4000, VIR_DOMAIN_EVENT_STOPPED);
    assert_int_equal(end(), 3000);
}

static void one_that_runs_on_never_did(void **state)
{
    (void)state;
    at(1000, VIR_DOMAIN_EVENT_RESUMED);
    assert_int_equal(end(), 0);
}

static void of_one_that_stands_still_for_good_it_is_not_known(void **state)
{
    (void)state;
    at(1000, VIR_DOMAIN_EVENT_SUSPENDED);
    assert_true(standstill_end(standstill, 10) == STANDSTILL_UNKNOWN);
    assert_int_equal(standstill_end(NULL, 60000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(from_its_pause_until_it_goes_on, begin),
        cmocka_unit_test_setup(or_until_its_end, begin),
        cmocka_unit_test_setup(one_that_runs_on_never_did, begin),
        cmocka_unit_test_setup(of_one_that_stands_still_for_good_it_is_not_known, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
