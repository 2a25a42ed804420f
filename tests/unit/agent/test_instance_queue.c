/* SPDX-License-Identifier: Apache-2.0 */
/* agent/instance_queue.c: who goes first, who waits, who gives up. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/instance_queue.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/domain_lock.h"
#include "tests/unit/canceller.h"
#include "tests/unit/driver/temp_folder.h"

#define ONE "2e0af6cc-8dab-4d5d-b039-8bb41cec430e"
#define ONE_IN_CAPITALS "2E0AF6CC-8DAB-4D5D-B039-8BB41CEC430E"
#define OTHER "0a2fc1f5-6f8c-4b6f-a81d-6d4a1c6d9a11"

static struct instance_queue *queue;

static int setup(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    return instance_queue_new(&queue, &err);
}

static int teardown(void **state)
{
    (void)state;
    instance_queue_free(queue);
    return 0;
}

static struct instance_turn *join(const char *uuid)
{
    struct error err = ERROR_INIT;
    struct instance_turn *turn = NULL;
    assert_int_equal(instance_queue_join(queue, uuid, &turn, &err), 0);
    return turn;
}

static bool has_turn(struct instance_turn *turn)
{
    struct error err = ERROR_INIT;
    int r = instance_turn_await(turn, 0, &err);
    assert_true(r == 0 || r == -ETIMEDOUT);
    return r == 0;
}

/* One that shows none stands between them; it and the last one ask when the first was through. */
static void the_progress_before_is_that_of_who_stands_first(void **state)
{
    (void)state;
    struct instance_turn *first = join(ONE), *other = join(OTHER), *silent = join(ONE),
                         *second = join(ONE_IN_CAPITALS);
    assert_int_equal(instance_turn_progress_before(first, -1), -1);
    assert_int_equal(instance_turn_progress_before(other, 30), 30);
    assert_int_equal(instance_turn_progress_before(second, 60), -1);
    instance_turn_pass(first);
    struct instance_turn *third = join(ONE);
    assert_int_equal(instance_turn_progress_before(third, 70), -1);
    instance_turn_pass(second);
    instance_turn_pass(third);
    assert_int_equal(instance_turn_progress_before(silent, 0), -1);
    assert_int_equal(instance_turn_progress_before(NULL, 40), 40);
    instance_turn_free(first);
    instance_turn_free(other);
    instance_turn_free(silent);
    instance_turn_free(second);
    instance_turn_free(third);
}

static void one_at_a_time_in_the_order_of_arrival(void **state)
{
    (void)state;
    struct instance_turn *first = join(ONE), *second = join(ONE_IN_CAPITALS), *third = join(ONE);
    assert_true(has_turn(first));
    assert_false(has_turn(third));
    assert_false(has_turn(second));
    instance_turn_pass(first);
    assert_false(has_turn(third));
    assert_true(has_turn(second));
    instance_turn_pass(first); /* once more */
    assert_false(has_turn(third));
    instance_turn_free(second);
    assert_true(has_turn(third));
    instance_turn_free(first);
    instance_turn_free(third);
}

static void one_that_has_passed_may_stand_in_line_again(void **state)
{
    (void)state;
    struct instance_turn *first = join(ONE), *second = join(ONE);
    instance_turn_join_again(first); /* it has its place */
    assert_true(has_turn(first));
    assert_false(has_turn(second));
    instance_turn_pass(first);
    instance_turn_join_again(first);
    assert_false(has_turn(first));
    assert_true(has_turn(second));
    instance_turn_free(second);
    assert_true(has_turn(first));
    instance_turn_free(first);
    instance_turn_join_again(NULL);
}

static void other_instances_go_their_own_way(void **state)
{
    (void)state;
    struct instance_turn *first = join(ONE), *second = join(ONE), *other = join(OTHER);
    assert_true(has_turn(first));
    assert_true(has_turn(other));
    assert_false(has_turn(second));
    assert_true(instance_turn_is_waited_for(first));
    assert_false(instance_turn_is_waited_for(second));
    assert_false(instance_turn_is_waited_for(other));
    instance_turn_free(other);
    assert_false(has_turn(second));
    instance_turn_free(first);
    instance_turn_free(second);
}

/* One that gives up in the middle of the line holds nobody up and puts nobody forward. */
static void a_place_can_be_given_up(void **state)
{
    (void)state;
    struct instance_turn *first = join(ONE), *second = join(ONE), *third = join(ONE);
    instance_turn_free(second);
    assert_false(has_turn(third));
    instance_turn_free(first);
    assert_true(has_turn(third));
    instance_turn_free(third);
}

static void waiting_can_be_cancelled(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct canceller canceller;
    struct instance_turn *first = join(ONE), *second = join(ONE);
    canceller_enter(&canceller);
    canceller_start(&canceller, -1);
    assert_cancelled(instance_turn_await(second, NEVER_MS, &err), &err);
    canceller_join(&canceller);
    canceller_leave(&canceller);
    instance_turn_free(first);
    assert_true(has_turn(second)); /* its place was kept */
    instance_turn_free(second);
}

static void waiting_has_a_deadline(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct instance_turn *first = join(ONE), *second = join(ONE);
    uint64_t start_ms = clock_now_ms();
    assert_int_equal(instance_turn_await(second, start_ms + 30, &err), -ETIMEDOUT);
    assert_true(clock_now_ms() - start_ms >= 30);
    instance_turn_free(first);
    instance_turn_free(second);
}

static void a_request_without_a_line_goes_on(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(instance_turn_await(NULL, 0, &err), 0);
    assert_false(instance_turn_is_waited_for(NULL));
    instance_turn_pass(NULL);
    instance_turn_free(NULL);
    instance_queue_free(NULL);
}

static void what_stands_behind_one_that_is_left_is_told(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct instance_turn *first = join(ONE), *other = join(OTHER), *second = join(ONE);
    assert_false(instance_turn_follows_left(second));
    instance_turn_leave(first);
    assert_true(instance_turn_follows_left(second));
    assert_false(instance_turn_follows_left(other));
    assert_int_equal(instance_turn_await(second, NEVER_MS, &err), 0);
    instance_turn_free(first);
    instance_turn_free(other);
    instance_turn_free(second);
    instance_turn_leave(NULL);
    assert_false(instance_turn_follows_left(NULL));
}

static atomic_int inside, served;

static void *serve(void *turn)
{
    struct error err = ERROR_INIT;
    assert_int_equal(instance_turn_await(turn, NEVER_MS, &err), 0);
    assert_int_equal(atomic_fetch_add(&inside, 1), 0);
    (void)poll(NULL, 0, 1);
    (void)atomic_fetch_sub(&inside, 1);
    (void)atomic_fetch_add(&served, 1);
    instance_turn_free(turn);
    return NULL;
}

static void many_threads_never_meet(void **state)
{
    (void)state;
    pthread_t threads[32];
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, serve, join(ONE)), 0);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&served), 32);
}

/* NULL: another has it. */
static struct domain_lock *try_lock(const char *uuid)
{
    struct domain_lock *lock = NULL;
    struct error err = ERROR_INIT;
    int r = domain_lock_take(temp_path("locks"), uuid, &lock, &err);
    assert_true(r == 0 || r == -EBUSY);
    return lock;
}

static void a_turn_holds_the_domains_lock(void **state)
{
    (void)state;
    struct domain_lock *lock = try_lock(ONE);
    instance_queue_lock_domains(queue, temp_path("locks"));
    struct instance_turn *first = join(ONE), *second = join(ONE);
    assert_false(has_turn(first));
    domain_lock_release(lock);
    assert_true(has_turn(first));
    assert_true(has_turn(first)); /* as often as one likes */
    assert_null(try_lock(ONE));
    instance_turn_free(first);
    assert_true(has_turn(second));
    instance_turn_free(second);
    lock = try_lock(ONE);
    assert_non_null(lock);
    domain_lock_release(lock);
}

/* As in a container that was given no such folder. */
static void where_nothing_can_be_locked_snapshots_are_taken(void **state)
{
    (void)state;
    instance_queue_lock_domains(queue, temp_path("no/locks"));
    struct instance_turn *turn = join(ONE);
    assert_true(has_turn(turn));
    instance_turn_free(turn);
}

static void waiting_for_the_domains_lock_is_cancelled(void **state)
{
    (void)state;
    struct error err = ERROR_INIT, reason = ERROR_INIT;
    struct cancel *cancel = NULL;
    struct domain_lock *lock = try_lock(ONE);
    instance_queue_lock_domains(queue, temp_path("locks"));
    struct instance_turn *turn = join(ONE);
    assert_int_equal(cancel_new(&cancel, &err), 0);
    (void)error_set(&reason, ECANCELED, EXC_IMAGE_NOT_FOUND, "the image is gone");
    cancel_request(cancel, &reason);
    (void)cancel_enter(cancel);
    /* The turn is there at once, which counts; the lock is not. */
    assert_int_equal(instance_turn_await(turn, NEVER_MS, &err), -ECANCELED);
    assert_string_equal(err.message, "the image is gone");
    (void)cancel_enter(NULL);
    cancel_free(cancel);
    instance_turn_free(turn);
    domain_lock_release(lock);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_at_a_time_in_the_order_of_arrival),
        TEST(the_progress_before_is_that_of_who_stands_first),
        TEST(one_that_has_passed_may_stand_in_line_again),
        TEST(other_instances_go_their_own_way),
        TEST(a_place_can_be_given_up),
        TEST(waiting_can_be_cancelled),
        TEST(waiting_has_a_deadline),
        TEST(a_request_without_a_line_goes_on),
        TEST(what_stands_behind_one_that_is_left_is_told),
        TEST(many_threads_never_meet),
        TEST(a_turn_holds_the_domains_lock),
        TEST(where_nothing_can_be_locked_snapshots_are_taken),
        TEST(waiting_for_the_domains_lock_is_cancelled),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
