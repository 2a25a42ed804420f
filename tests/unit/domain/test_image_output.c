/* SPDX-License-Identifier: Apache-2.0 */
/* domain/image_output.c: a reader that stops holds nobody up for ever. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "domain/image_output.h"
#include "tests/unit/canceller.h"

#define LENGTH ((size_t)1 << 20)

static struct error err;
static int ends[2];
static unsigned char data[LENGTH], found[LENGTH];
static bool time_is_over;

int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    int ready = __real_poll(fds, n, time_is_over ? 0 : timeout_ms);
    assert_true(timeout_ms >= 0); /* every wait has its end */
    return ready;
}

/* So clang calls poll() with _FORTIFY_SOURCE. */
int __wrap___poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t size);
int __wrap___poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t size)
{
    (void)size;
    return __wrap_poll(fds, n, timeout_ms);
}

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    time_is_over = false;
    for (size_t i = 0; i < LENGTH; i++)
        data[i] = (unsigned char)(i * 31 >> 7);
    return pipe(ends);
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(ends[0]);
    (void)close(ends[1]);
    return 0;
}

static void a_reader_that_stops_is_no_reason_not_to_end(void **state)
{
    (void)state;
    struct canceller canceller;
    canceller_enter(&canceller);
    canceller_start(&canceller, ends[0]);
    assert_cancelled(image_output_write_stream(ends[1], data, LENGTH, &err), &err);
    canceller_join(&canceller);
    canceller_leave(&canceller);
}

static void it_is_waited_for_only_so_long(void **state)
{
    (void)state;
    time_is_over = true;
    assert_int_equal(image_output_write_stream(ends[1], data, LENGTH, &err), -ETIMEDOUT);
}

static void *read_all(void *arg)
{
    (void)arg;
    for (size_t done = 0; done < LENGTH;) {
        ssize_t n = read(ends[0], found + done, LENGTH - done);
        if (n <= 0)
            return NULL;
        done += (size_t)n;
    }
    return NULL;
}

/* Whatever the pipe was set to by whom it belongs to. */
static void all_of_it_arrives(void **state)
{
    (void)state;
    for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK) {
        pthread_t reader;
        memset(found, 0, sizeof(found));
        assert_int_equal(fcntl(ends[1], F_SETFL, flags), 0);
        assert_int_equal(pthread_create(&reader, NULL, read_all, NULL), 0);
        assert_int_equal(image_output_write_stream(ends[1], data, LENGTH, &err), 0);
        assert_int_equal(pthread_join(reader, NULL), 0);
        assert_memory_equal(found, data, LENGTH);
    }
}

static void a_reader_that_goes_away_is_an_error(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)close(ends[0]);
    assert_int_equal(image_output_write_stream(ends[1], data, LENGTH, &err), -EPIPE);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_reader_that_stops_is_no_reason_not_to_end),
        TEST(it_is_waited_for_only_so_long),
        TEST(all_of_it_arrives),
        TEST(a_reader_that_goes_away_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
