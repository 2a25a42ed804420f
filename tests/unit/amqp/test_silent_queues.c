/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/silent_queues.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "amqp/silent_queues.h"

static void asked_twice_in_vain_it_rests_for_a_minute(void **state)
{
    (void)state;
    struct silent_queues silent = {0};
    silent_queues_no_answer(&silent, "compute.a", 1000);
    assert_false(silent_queues_rests(&silent, "compute.a", 1000));
    silent_queues_no_answer(&silent, "compute.a", 7000);
    assert_true(silent_queues_rests(&silent, "compute.a", 66999));
    assert_false(silent_queues_rests(&silent, "compute.b", 7000));
    assert_false(silent_queues_rests(&silent, "compute.a", 67000));
    silent_queues_no_answer(&silent, "compute.a", 72000); /* asked once more only */
    assert_true(silent_queues_rests(&silent, "compute.a", 72001));
}

static void an_answer_ends_it(void **state)
{
    (void)state;
    struct silent_queues silent = {0};
    silent_queues_answer(&silent, "compute.a");
    silent_queues_no_answer(&silent, "compute.a", 1000);
    silent_queues_answer(&silent, "compute.a");
    silent_queues_no_answer(&silent, "compute.a", 2000);
    assert_false(silent_queues_rests(&silent, "compute.a", 2000));
}

static void the_oldest_is_forgotten(void **state)
{
    (void)state;
    struct silent_queues silent = {0};
    char name[32];
    for (int i = 0; i <= SILENT_QUEUES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "reply_%d", i);
        silent_queues_no_answer(&silent, name, 0);
        silent_queues_no_answer(&silent, name, 0);
    }
    assert_false(silent_queues_rests(&silent, "reply_0", 1));
    assert_true(silent_queues_rests(&silent, "reply_1", 1));
    assert_true(silent_queues_rests(&silent, name, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asked_twice_in_vain_it_rests_for_a_minute),
        cmocka_unit_test(an_answer_ends_it),
        cmocka_unit_test(the_oldest_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
