/* SPDX-License-Identifier: Apache-2.0 */
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

/* What is not UTF-8 cannot be sent: a fault, an event or a notification would be lost. */
static void text_is_whole_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text, *whole;
    } texts[] = {
        {"disk \xe2\x82\xac 7", "disk \xe2\x82\xac 7"},
        {"\xf0\x9f\x92\xbe", "\xf0\x9f\x92\xbe"},
        {"caf\xe9 au lait", "caf? au lait"},
        {"\xc0\xaf \xe0\x80\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xff.", "?? ??? ??? ???? ?."},
        {"\x80\xbf.", "??."},
        {"cut \xe2\x82", "cut "},
        {"cut \xf0", "cut "},
        {"a\nb\tc\x1b[31m\x7f", "a b c [31m "},
        {"a\xc2\x80\xc2\x9b"
         "2J\xc2\xa0",
         "a    2J\xc2\xa0"}, /* C1: CSI in one character */
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct error err = ERROR_INIT, other = ERROR_INIT;
        (void)error_set(&err, EIO, texts[i].text, "%s", texts[i].text);
        assert_string_equal(err.message, texts[i].whole);
        assert_string_equal(err.exc, texts[i].whole);
        (void)error_set(&other, EIO, EXC_INTERNAL_ERROR, "%s", "");
        (void)error_prepend(&other, "%s", texts[i].text);
        assert_memory_equal(other.message, texts[i].whole, strlen(texts[i].whole));
        (void)error_set(&other, EIO, EXC_INTERNAL_ERROR, "%s", "");
        (void)error_append(&other, "%s", texts[i].text);
        assert_string_equal(other.message, texts[i].whole);
        (void)error_set_foreign(&other, EIO, texts[i].text, "Class", "x");
        assert_string_equal(other.module, texts[i].whole);
    }
}

static void no_character_is_cut_in_two(void **state)
{
    (void)state;
    char text[2 * ERROR_MESSAGE_MAX];
    for (size_t shift = 0; shift < 3; shift++) {
        struct error err = ERROR_INIT, later = ERROR_INIT;
        size_t used = shift;
        memset(text, 'x', shift);
        for (; used + 3 < sizeof(text); used += 3)
            memcpy(text + used, "\xe2\x82\xac", 3);
        text[used] = '\0';
        (void)error_set(&err, EIO, EXC_INTERNAL_ERROR, "%s", text);
        size_t whole = shift + (ERROR_MESSAGE_MAX - 1 - shift) / 3 * 3;
        assert_int_equal(strlen(err.message), whole);
        assert_memory_equal(err.message, text, whole);
        later = err;
        (void)error_prepend(&err, "y");
        assert_int_equal((strlen(err.message) - 3 - shift) % 3, 0);
        error_join(&later, &err);
        assert_true(strlen(later.message) >= whole);
        (void)error_append(&later, "z");
        assert_true(strlen(later.message) <= ERROR_MESSAGE_MAX - 1);
    }
}

/* nova.compute.utils:exception_to_dict: what others say may be meant for the operator alone. */
static void only_novas_exceptions_speak_to_everybody(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    (void)error_set(&err, ENOENT, EXC_IMAGE_NOT_FOUND, "image 7");
    assert_string_equal(error_public_text(&err), "image 7");
    (void)error_set_foreign(&err, EREMOTEIO, "nova.exception", EXC_FORBIDDEN, "may not");
    assert_string_equal(error_public_text(&err), "may not");
    assert_int_equal(err.code, 403);
    (void)error_set_foreign(&err, EREMOTEIO, "oslo_db.exception", "DBError", "select 7");
    assert_string_equal(error_public_text(&err), "DBError");
    assert_string_equal(err.message, "select 7");
    (void)error_set_foreign(&err, EREMOTEIO, "novamix.exception", EXC_FORBIDDEN, "may not");
    assert_string_equal(error_public_text(&err), "Forbidden");
    assert_int_equal(err.code, 500);
    (void)error_errno(&err, EACCES, "cannot open /etc/shadow");
    assert_string_equal(error_public_text(&err), "OSError");
    assert_string_equal(err.message, "cannot open /etc/shadow: Permission denied");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_class_code_and_message),
        cmocka_unit_test(prepend_cuts_and_never_overflows),
        cmocka_unit_test(join_keeps_the_first_error),
        cmocka_unit_test(text_is_whole_utf8),
        cmocka_unit_test(no_character_is_cut_in_two),
        cmocka_unit_test(only_novas_exceptions_speak_to_everybody),
        cmocka_unit_test(deleting_is_an_unexpected_task_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
