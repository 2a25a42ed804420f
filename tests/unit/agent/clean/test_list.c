/* SPDX-License-Identifier: Apache-2.0 */
/* agent/clean/list.c: what became of each thing that was found, and that all of them are told. */
#include "agent/clean/list.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"

static struct clean_list list;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    list = (struct clean_list){0};
    err = (struct error)ERROR_INIT;
    clean_list_judge(clean_list_add(&list, CLEAN_FOLDER, "/s/tmp"), CLEAN_NOBODYS, "it is old");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    clean_list_done(&list);
    return 0;
}

static void what_turns_out_to_be_somebodys_is_left(void **state)
{
    (void)state;
    static const int reasons[] = {EBUSY, EREMOTE, EEXIST};
    for (size_t i = 0; i < 3; i++) {
        err = (struct error)ERROR_INIT;
        list.items[0].verdict = CLEAN_NOBODYS;
        int r = error_set(&err, reasons[i], EXC_INTERNAL_ERROR, "it is %d's", reasons[i]);
        clean_list_conclude(&list.items[0], r, &err);
        assert_int_equal(list.items[0].verdict, CLEAN_LEFT);
        assert_string_equal(list.items[0].why, err.message);
        assert_string_equal(list.items[0].failure, "");
    }
}

static void what_cannot_be_removed_is_a_failure(void **state)
{
    (void)state;
    int r = error_set(&err, EIO, EXC_INTERNAL_ERROR, "it breaks");
    clean_list_conclude(&list.items[0], r, &err);
    assert_int_equal(list.items[0].verdict, CLEAN_FAILED);
    assert_string_equal(list.items[0].why, "it is old");
    assert_string_equal(list.items[0].failure, "it breaks");
}

/* Else nobody would miss it. */
static void what_there_was_no_memory_for_is_a_trouble(void **state)
{
    (void)state;
    json_t *view = clean_list_view(&list);
    assert_int_equal(json_array_size(json_object_get(view, "found")), 1);
    assert_int_equal(json_array_size(json_object_get(view, "troubles")), 0);
    json_decref(view);
    list.lacks_some = true;
    (void)error_set(&err, EIO, EXC_INTERNAL_ERROR, "no answer");
    clean_list_trouble(&list, "guests", &err);
    view = clean_list_view(&list);
    const json_t *troubles = json_object_get(view, "troubles");
    assert_int_equal(json_array_size(troubles), 2);
    assert_string_equal(json_string_value(json_array_get(troubles, 0)), "guests: no answer");
    assert_non_null(strstr(json_string_value(json_array_get(troubles, 1)), "no memory"));
    json_decref(view);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_turns_out_to_be_somebodys_is_left),
        TEST(what_cannot_be_removed_is_a_failure),
        TEST(what_there_was_no_memory_for_is_a_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
