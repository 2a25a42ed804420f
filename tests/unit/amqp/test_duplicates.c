/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/duplicates.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "amqp/duplicates.h"

static void the_window_is_oslos(void **state)
{
    (void)state;
    struct duplicates duplicates = {.window = DUPLICATES_SERVED};
    char id[16];
    assert_false(duplicates_seen(&duplicates, "0"));
    for (int i = 0; i < 17; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        assert_false(duplicates_seen(&duplicates, id));
        duplicates_add(&duplicates, id);
        assert_true(duplicates_seen(&duplicates, id));
    }
    assert_false(duplicates_seen(&duplicates, "0"));
    assert_true(duplicates_seen(&duplicates, "1"));
    assert_true(duplicates_seen(&duplicates, "16"));
    duplicates_clear(&duplicates);
    assert_false(duplicates_seen(&duplicates, "16"));
}

static void no_id_is_no_duplicate(void **state)
{
    (void)state;
    struct duplicates duplicates = {.window = 2};
    duplicates_add(&duplicates, "");
    duplicates_add(&duplicates, NULL);
    assert_false(duplicates_seen(&duplicates, ""));
    assert_false(duplicates_seen(&duplicates, NULL));
    duplicates_add(&duplicates, "a");
    duplicates_add(&duplicates, "");
    duplicates_add(&duplicates, "");
    assert_true(duplicates_seen(&duplicates, "a"));
    assert_false(duplicates_seen(&duplicates, "aa"));
    duplicates_clear(&duplicates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_is_oslos),
        cmocka_unit_test(no_id_is_no_duplicate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
