/* SPDX-License-Identifier: Apache-2.0 */
/* agent/temporary.c: what cannot be done now is tried until it can, and others go on meanwhile. */
#include "agent/temporary.h"

#include <errno.h>

#include "agent/instance_queue.h"
#include "agent/shutdown.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "fixture.h"

static struct instance_queue *queue;
static struct instance_turn *turn, *other;
static struct shutdown *end;
static bool hour_is_over, ends;
static uint64_t slept_ms;
static unsigned other_had_it; /* looks at which the other had its turn */

bool __wrap_shutdown_has_begun(const struct shutdown *shutdown);
bool __wrap_shutdown_has_begun(const struct shutdown *shutdown)
{
    assert_ptr_equal(shutdown, end);
    return ends;
}

static bool has_its_turn(struct instance_turn *of)
{
    struct error err = ERROR_INIT;
    return instance_turn_await(of, clock_now_ms(), &err) == 0;
}

/* Time passes as it says, and nobody sleeps. */
bool __wrap_retry_wait(struct retry *retry, unsigned min_delay_ms);
bool __wrap_retry_wait(struct retry *retry, unsigned min_delay_ms)
{
    if (retry->policy.total_ms == 3600000)
        return !hour_is_over;
    if (has_its_turn(other))
        other_had_it++;
    if (slept_ms + min_delay_ms > retry->policy.total_ms)
        return false;
    slept_ms += min_delay_ms;
    assert_true(min_delay_ms > 0 && min_delay_ms <= 5000); /* the end is noticed within this */
    if (slept_ms == retry->policy.total_ms)
        instance_turn_pass(other); /* it is through */
    return true;
}

static int set_up(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    hour_is_over = ends = false;
    slept_ms = other_had_it = 0;
    assert_int_equal(shutdown_new(&end, &err), 0);
    assert_int_equal(instance_queue_new(&queue, &err), 0);
    assert_int_equal(instance_queue_join(queue, FIXTURE_INSTANCE, &turn, &err), 0);
    return instance_queue_join(queue, FIXTURE_INSTANCE, &other, &err);
}

static int tear_down(void **state)
{
    (void)state;
    instance_turn_free(turn);
    instance_turn_free(other);
    instance_queue_free(queue);
    shutdown_free(end);
    return 0;
}

static void the_first_hour_holds_the_turn(void **state)
{
    (void)state;
    struct temporary_wait wait = temporary_wait_begin(end);
    for (unsigned i = 0; i < 1000; i++)
        assert_true(temporary_wait_next(&wait, turn));
    assert_true(has_its_turn(turn));
    assert_false(has_its_turn(other));
    assert_int_equal(slept_ms, 0);
}

static void after_it_others_go_on_in_each_pause_of_five_minutes(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct temporary_wait wait = temporary_wait_begin(end);
    hour_is_over = true;
    for (unsigned i = 0; i < 50; i++) {
        slept_ms = other_had_it = 0;
        assert_true(temporary_wait_next(&wait, turn));
        assert_int_equal(slept_ms, 300000);
        assert_true(other_had_it > 0);
        assert_true(has_its_turn(turn));
        instance_turn_free(other);
        assert_int_equal(instance_queue_join(queue, FIXTURE_INSTANCE, &other, &err), 0);
        assert_false(has_its_turn(other));
    }
}

static void what_is_not_given_up_is_kept(void **state)
{
    (void)state;
    struct temporary_wait wait = temporary_wait_begin(end);
    hour_is_over = true;
    assert_true(temporary_wait_next(&wait, NULL));
    assert_int_equal(slept_ms, 300000);
    assert_int_equal(other_had_it, 0);
    assert_true(has_its_turn(turn));
}

static void the_end_of_the_agent_ends_it(void **state)
{
    (void)state;
    struct temporary_wait wait = temporary_wait_begin(end);
    assert_true(temporary_wait_next(&wait, NULL));
    ends = true;
    assert_false(temporary_wait_next(&wait, NULL));
    hour_is_over = true;
    assert_false(temporary_wait_next(&wait, NULL));
    assert_int_equal(slept_ms, 0);
}

static void who_is_cancelled_does_not_wait(void **state)
{
    (void)state;
    struct error err = ERROR_INIT, reason = ERROR_INIT;
    struct cancel *cancel = NULL;
    struct temporary_wait wait = temporary_wait_begin(end);
    assert_int_equal(cancel_new(&cancel, &err), 0);
    (void)cancel_enter(cancel);
    assert_true(temporary_wait_next(&wait, turn));
    (void)error_set(&reason, ECANCELED, EXC_INTERNAL_ERROR, "not wanted any more");
    cancel_request(cancel, &reason);
    assert_false(temporary_wait_next(&wait, turn));
    (void)cancel_enter(NULL);
    cancel_free(cancel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_hour_holds_the_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_it_others_go_on_in_each_pause_of_five_minutes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_given_up_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_the_agent_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_cancelled_does_not_wait, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
