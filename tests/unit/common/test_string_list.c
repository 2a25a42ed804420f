/* SPDX-License-Identifier: Apache-2.0 */
/* common/string_list.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/string_list.h"

static void copy_is_a_list_of_its_own(void **state)
{
    (void)state;
    char first[] = "one";
    const char *const list[] = {first, "", "three", NULL};
    char **copy = NULL;
    assert_int_equal(string_list_length(list), 3);
    assert_true(string_list_copy(list, &copy));
    first[0] = 'x';
    assert_string_equal(copy[0], "one");
    assert_string_equal(copy[1], "");
    assert_string_equal(copy[2], "three");
    assert_null(copy[3]);
    string_list_free(copy);
}

static void no_list_is_an_empty_one(void **state)
{
    (void)state;
    const char *const empty[] = {NULL};
    const char *const *const lists[] = {NULL, empty};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        char **copy = NULL;
        assert_int_equal(string_list_length(lists[i]), 0);
        assert_true(string_list_copy(lists[i], &copy));
        assert_non_null(copy);
        assert_null(copy[0]);
        string_list_free(copy);
    }
    string_list_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy_is_a_list_of_its_own),
        cmocka_unit_test(no_list_is_an_empty_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
