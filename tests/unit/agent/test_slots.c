/* SPDX-License-Identifier: Apache-2.0 */
/* agent/slots.c and agent/workers.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "agent/slots.h"
#include "agent/workers.h"
#include "tests/unit/canceller.h"

static struct slots *slots;
static atomic_int inside, most, done;

static void hold_a_slot(void *arg)
{
    (void)arg;
    struct error err = ERROR_INIT;
    if (slots_acquire(slots, &err) < 0)
        return;
    int now = atomic_fetch_add(&inside, 1) + 1;
    int seen = atomic_load(&most);
    while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
        continue;
    atomic_fetch_sub(&inside, 1);
    slots_release(slots);
    atomic_fetch_add(&done, 1);
}

static void never_more_than_the_limit_inside(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct workers *workers = NULL;
    assert_int_equal(slots_new(2, &slots, &err), 0);
    assert_int_equal(workers_new(64, &workers, &err), 0);
    for (int i = 0; i < 64; i++)
        assert_int_equal(workers_start(workers, hold_a_slot, NULL, &err), 0);
    assert_int_equal(workers_wait(workers, 20000), 0);
    assert_int_equal(done, 64);
    assert_true(most <= 2);
    workers_free(workers);
    slots_free(slots);
}

static void wait_for_slot(void *arg)
{
    struct error err = ERROR_INIT;
    if (slots_acquire(arg, &err) == 0)
        slots_release(arg);
}

static void workers_are_bounded_and_waited_for(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct workers *workers = NULL;
    assert_int_equal(slots_new(1, &slots, &err), 0);
    assert_int_equal(workers_new(2, &workers, &err), 0);
    assert_int_equal(slots_acquire(slots, &err), 0);
    assert_int_equal(workers_start(workers, wait_for_slot, slots, &err), 0);
    assert_false(workers_full(workers, 0));
    assert_true(workers_full(workers, 2)); /* which have been accepted */
    assert_int_equal(workers_start(workers, wait_for_slot, slots, &err), 0);
    assert_true(workers_full(workers, 0));
    assert_int_equal(workers_start(workers, wait_for_slot, slots, &err), -EAGAIN);
    assert_int_equal(workers_wait(workers, 1), 2);
    slots_release(slots);
    assert_int_equal(workers_wait(workers, 20000), 0);
    assert_false(workers_full(workers, 0));
    workers_free(workers);
    slots_free(slots);
}

/* As deep as jansson reads; in a worker a request like this is copied and sent on. */
static void copy_deepest_json(void *arg)
{
    char *text = arg;
    json_t *value = json_loads(text, 0, NULL);
    json_t *copy = json_deep_copy(value);
    char *again = json_dumps(copy, JSON_COMPACT);
    if (again && strcmp(again, text) == 0)
        atomic_fetch_add(&done, 1);
    free(again);
    json_decref(copy);
    json_decref(value);
}

static void a_workers_stack_holds_the_deepest_json(void **state)
{
    (void)state;
    enum { DEPTH = 2000 };
    static char text[2 * DEPTH + 1];
    struct error err = ERROR_INIT;
    struct workers *workers = NULL;
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    atomic_store(&done, 0);
    assert_int_equal(workers_new(1, &workers, &err), 0);
    assert_int_equal(workers_start(workers, copy_deepest_json, text, &err), 0);
    assert_int_equal(workers_wait(workers, 20000), 0);
    assert_int_equal(done, 1);
    workers_free(workers);
}

static void zero_is_no_limit(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(slots_new(0, &slots, &err), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(slots_acquire(slots, &err), 0);
    slots_free(slots);
}

/* Those behind one who leaves the line move up. */
static void who_is_cancelled_leaves_the_line(void **state)
{
    (void)state;
    struct canceller canceller;
    struct workers *workers = NULL;
    struct error err = ERROR_INIT;
    atomic_store(&done, 0);
    assert_int_equal(slots_new(1, &slots, &err), 0);
    assert_int_equal(workers_new(2, &workers, &err), 0);
    assert_int_equal(slots_acquire(slots, &err), 0);
    assert_int_equal(workers_start(workers, hold_a_slot, NULL, &err), 0);
    canceller_enter(&canceller);
    canceller_start(&canceller, -1);
    assert_cancelled(slots_acquire(slots, &err), &err);
    canceller_join(&canceller);
    assert_int_equal(workers_start(workers, hold_a_slot, NULL, &err), 0);
    assert_cancelled(slots_acquire(slots, &err), &err);
    slots_release(slots);
    assert_int_equal(workers_wait(workers, 20000), 0);
    assert_int_equal(done, 2);
    /* Nobody is in the line: a free slot needs no wait that could be cancelled. */
    assert_int_equal(slots_acquire(slots, &err), 0);
    slots_release(slots);
    canceller_leave(&canceller);
    workers_free(workers);
    slots_free(slots);
}

static void take_a_slot(void *arg)
{
    struct error err = ERROR_INIT;
    if (slots_acquire(arg, &err) == 0)
        atomic_fetch_add(&inside, 1);
}

static void the_limit_may_change(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct workers *workers = NULL;
    atomic_store(&inside, 0);
    assert_int_equal(slots_new(0, &slots, &err), 0);
    assert_int_equal(workers_new(8, &workers, &err), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(slots_acquire(slots, &err), 0);
    slots_set_limit(slots, 2); /* three are out */
    for (int i = 0; i < 4; i++)
        assert_int_equal(workers_start(workers, take_a_slot, slots, &err), 0);
    slots_release(slots);
    assert_int_equal(workers_wait(workers, 20), 4);
    slots_release(slots); /* one is out, one may come in */
    while (atomic_load(&inside) < 1)
        assert_true(workers_wait(workers, 1) >= 3);
    assert_int_equal(workers_wait(workers, 20), 3);
    slots_set_limit(slots, 4);
    while (atomic_load(&inside) < 3)
        assert_true(workers_wait(workers, 1) >= 1);
    assert_int_equal(workers_wait(workers, 20), 1);
    slots_set_limit(slots, 0);
    assert_int_equal(workers_wait(workers, 20000), 0);
    workers_free(workers);
    slots_free(slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_more_than_the_limit_inside),
        cmocka_unit_test(workers_are_bounded_and_waited_for),
        cmocka_unit_test(a_workers_stack_holds_the_deepest_json),
        cmocka_unit_test(zero_is_no_limit),
        cmocka_unit_test(who_is_cancelled_leaves_the_line),
        cmocka_unit_test(the_limit_may_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
