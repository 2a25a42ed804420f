/* SPDX-License-Identifier: Apache-2.0 */
/* common/cancel.c */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cancel.h"
#include "common/clock.h"

static void request(struct cancel *cancel, const char *exc, const char *message)
{
    struct error reason = ERROR_INIT;
    (void)error_set(&reason, EIO, exc, "%s", message);
    cancel_request(cancel, &reason);
}

static int readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0);
}

static void nothing_cancels_a_thread_that_entered_none(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(cancel_check(&err), 0);
    assert_int_equal(cancel_fd(), -1);
    assert_null(cancel_current());
}

static void the_first_reason_is_told(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct cancel *cancel = NULL;
    assert_int_equal(cancel_new(&cancel, &err), 0);
    assert_null(cancel_enter(cancel));
    assert_int_equal(cancel_check(&err), 0);
    assert_int_equal(readable(cancel_fd()), 0);
    request(cancel, EXC_IMAGE_NOT_FOUND, "the image is gone");
    request(cancel, EXC_INTERNAL_ERROR, "later");
    assert_int_equal(readable(cancel_fd()), 1);
    assert_int_equal(cancel_check(&err), -ECANCELED);
    assert_int_equal(err.errnum, ECANCELED);
    assert_string_equal(err.exc, EXC_IMAGE_NOT_FOUND);
    assert_string_equal(err.message, "the image is gone");
    assert_ptr_equal(cancel_enter(NULL), cancel);
    cancel_free(cancel);
}

static void a_shield_ends_with_its_scope(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct cancel *cancel = NULL;
    assert_int_equal(cancel_new(&cancel, &err), 0);
    (void)cancel_enter(cancel);
    request(cancel, EXC_INTERNAL_ERROR, "enough");
    {
        CANCEL_SHIELD();
        assert_int_equal(cancel_check(&err), 0);
        assert_int_equal(cancel_fd(), -1);
    }
    assert_int_equal(cancel_check(&err), -ECANCELED);
    (void)cancel_enter(NULL);
    cancel_free(cancel);
}

static void a_wait_ends_by_what_comes_first(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct cancel *cancel = NULL;
    int fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(cancel_await(fd, 0, &err), -ETIMEDOUT);
    assert_int_equal(cancel_await(fd, clock_now_ms() + 2, &err), -ETIMEDOUT);
    assert_int_equal(cancel_new(&cancel, &err), 0);
    (void)cancel_enter(cancel);
    assert_int_equal(cancel_await(fd, 0, &err), -ETIMEDOUT);
    request(cancel, EXC_IMAGE_NOT_FOUND, "the image is gone");
    assert_int_equal(cancel_await(fd, NEVER_MS, &err), -ECANCELED);
    assert_string_equal(err.exc, EXC_IMAGE_NOT_FOUND);
    assert_int_equal(eventfd_write(fd, 1), 0);
    assert_int_equal(cancel_await(fd, NEVER_MS, &err), 0); /* what is there is taken */
    (void)cancel_enter(NULL);
    cancel_free(cancel);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_cancels_a_thread_that_entered_none),
        cmocka_unit_test(the_first_reason_is_told),
        cmocka_unit_test(a_shield_ends_with_its_scope),
        cmocka_unit_test(a_wait_ends_by_what_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
