/* SPDX-License-Identifier: Apache-2.0 */
/* driver/undo.c: every step runs, each twice if need be, and the first error is kept. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "driver/undo.h"

/* What was called, a letter each, and what fails: `failures` tries of `step`, with `errnum`. */
static struct {
    char calls[32];
    char step;
    int failures, errnum;
} world;

static struct error err;

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    err = (struct error)ERROR_INIT;
    return 0;
}

static int call(char step, struct error *failure)
{
    world.calls[strlen(world.calls)] = step;
    struct error cancelled = ERROR_INIT;
    assert_int_equal(cancel_check(&cancelled), 0);
    if (step != world.step || world.failures == 0)
        return 0;
    world.failures--;
    return error_set(failure, world.errnum, EXC_INTERNAL_ERROR, "%c fails", step);
}

static int step_a(void *op, struct error *failure)
{
    assert_ptr_equal(op, &world);
    return call('a', failure);
}

static int step_b(void *op, struct error *failure)
{
    assert_ptr_equal(op, &world);
    return call('b', failure);
}

static int step_c(void *op, struct error *failure)
{
    assert_ptr_equal(op, &world);
    return call('c', failure);
}

static const struct undo_step steps[] = {{"a", step_a}, {"b", step_b}, {"c", step_c}};

static int run(struct undo undo, char failing, int failures, int errnum)
{
    memset(&world, 0, sizeof(world));
    world.step = failing;
    world.failures = failures;
    world.errnum = errnum;
    undo.steps = steps;
    undo.count = ARRAY_SIZE(steps);
    return undo_run(&undo, &world, &err);
}

static void a_step_that_fails_runs_twice(void **state)
{
    (void)state;
    assert_int_equal(run((struct undo){0}, '-', 0, 0), 0);
    assert_string_equal(world.calls, "abc");
    assert_int_equal(run((struct undo){0}, 'b', 1, EIO), 0);
    assert_string_equal(world.calls, "abbc");
    assert_int_equal(err.errnum, 0);
}

static void the_others_run_all_the_same(void **state)
{
    (void)state;
    assert_int_equal(run((struct undo){0}, 'a', 2, EPERM), -EPERM);
    assert_string_equal(world.calls, "aabc");
    assert_int_equal(err.errnum, EPERM);
    assert_string_equal(err.message, "a fails");
    assert_int_equal(run((struct undo){0}, 'c', 2, EIO), -EIO);
    assert_string_equal(world.calls, "abcc");
    assert_int_equal(err.errnum, EPERM); /* the first is kept */
    assert_string_equal(err.message, "a fails; then: c fails");
}

static void what_has_waited_is_not_tried_again(void **state)
{
    (void)state;
    assert_int_equal(run((struct undo){.final_errnum = EBUSY}, 'b', 1, EBUSY), -EBUSY);
    assert_string_equal(world.calls, "abc");
    assert_int_equal(run((struct undo){.final_errnum = EBUSY}, 'b', 1, EIO), 0);
    assert_string_equal(world.calls, "abbc");
}

static void what_is_known_is_looked_up_again(void **state)
{
    (void)state;
    assert_int_equal(run((struct undo){.refresh = step_a}, 'b', 1, EIO), 0);
    assert_string_equal(world.calls, "ababc");
    assert_int_equal(run((struct undo){.refresh = step_a}, 'a', 1, EIO), 0);
    assert_string_equal(world.calls, "aabc");
    assert_int_equal(run((struct undo){.refresh = step_c}, 'c', 2, EIO), -EIO);
    assert_string_equal(world.calls, "abcc");
}

static int refresh_fails(void *op, struct error *failure)
{
    (void)op;
    return error_set(failure, ECONNRESET, EXC_INTERNAL_ERROR, "nobody is there");
}

static void a_step_is_not_tried_with_what_is_old(void **state)
{
    (void)state;
    assert_int_equal(run((struct undo){.refresh = refresh_fails}, 'b', 1, EIO), -ECONNRESET);
    assert_string_equal(world.calls, "abc");
    assert_string_equal(err.message, "nobody is there");
}

static bool is_over(const void *op, int r)
{
    (void)op;
    return r == -ENOENT;
}

static void it_ends_when_nothing_is_left(void **state)
{
    (void)state;
    assert_int_equal(run((struct undo){.is_over = is_over}, 'b', 2, EIO), -EIO);
    assert_string_equal(world.calls, "abbc");
    assert_int_equal(run((struct undo){.is_over = is_over}, 'b', 2, ENOENT), -ENOENT);
    assert_string_equal(world.calls, "abb");
}

static void a_cancellation_waits(void **state)
{
    (void)state;
    struct cancel *cancel = NULL;
    assert_int_equal(cancel_new(&cancel, &err), 0);
    struct cancel *before = cancel_enter(cancel);
    const struct error reason = {.errnum = ECANCELED, .message = "it was deleted"};
    cancel_request(cancel, &reason);
    assert_int_equal(run((struct undo){0}, '-', 0, 0), 0);
    assert_string_equal(world.calls, "abc");
    assert_int_equal(cancel_check(&err), -ECANCELED);
    (void)cancel_enter(before);
    cancel_free(cancel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_step_that_fails_runs_twice, set_up),
        cmocka_unit_test_setup(the_others_run_all_the_same, set_up),
        cmocka_unit_test_setup(what_has_waited_is_not_tried_again, set_up),
        cmocka_unit_test_setup(what_is_known_is_looked_up_again, set_up),
        cmocka_unit_test_setup(a_step_is_not_tried_with_what_is_old, set_up),
        cmocka_unit_test_setup(it_ends_when_nothing_is_left, set_up),
        cmocka_unit_test_setup(a_cancellation_waits, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
