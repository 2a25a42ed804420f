/* common/error.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"

static void set_fills_class_code_and_message(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(error_set(&err, ENOENT, EXC_IMAGE_NOT_FOUND, "image %d", 7), -ENOENT);
    assert_string_equal(err.exc, "ImageNotFound");
    assert_string_equal(err.module, "nova.exception");
    assert_string_equal(err.message, "image 7");
    assert_int_equal(err.code, 404);
}

static void prepend_cuts_and_never_overflows(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    char longtext[3 * ERROR_MESSAGE_MAX];
    memset(longtext, 'x', sizeof(longtext));
    longtext[sizeof(longtext) - 1] = '\0';
    (void)error_set(&err, EIO, EXC_INTERNAL_ERROR, "%s", longtext);
    assert_int_equal(strlen(err.message), ERROR_MESSAGE_MAX - 1);
    assert_int_equal(error_prepend(&err, "%s", longtext), -EIO);
    assert_int_equal(strlen(err.message), ERROR_MESSAGE_MAX - 1);
}

static void join_keeps_the_first_error(void **state)
{
    (void)state;
    struct error err = ERROR_INIT, later = ERROR_INIT;
    (void)error_set(&later, EIO, EXC_INTERNAL_ERROR, "one");
    error_join(&err, &later);
    assert_string_equal(err.message, "one");
    (void)error_set(&later, ENOENT, EXC_IMAGE_NOT_FOUND, "two");
    error_join(&err, &later);
    assert_int_equal(err.errnum, EIO);
    assert_string_equal(err.exc, "InternalError");
    assert_string_equal(err.message, "one; then: two");
    memset(later.message, 'x', sizeof(later.message) - 1);
    error_join(&err, &later);
    assert_int_equal(strlen(err.message), ERROR_MESSAGE_MAX - 1);
}

static void deleting_is_an_unexpected_task_state(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    (void)error_set(&err, EBUSY, EXC_UNEXPECTED_DELETING, "deleting");
    assert_true(error_is(&err, EXC_UNEXPECTED_TASK_STATE));
    assert_true(error_is(&err, EXC_UNEXPECTED_DELETING));
    assert_false(error_is(&err, EXC_INSTANCE_NOT_FOUND));
    (void)error_set(&err, EBUSY, EXC_UNEXPECTED_TASK_STATE, "other");
    assert_false(error_is(&err, EXC_UNEXPECTED_DELETING));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_class_code_and_message),
        cmocka_unit_test(prepend_cuts_and_never_overflows),
        cmocka_unit_test(join_keeps_the_first_error),
        cmocka_unit_test(deleting_is_an_unexpected_task_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
