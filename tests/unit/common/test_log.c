/* SPDX-License-Identifier: Apache-2.0 */
/* common/log.c: what is written is read back through a pipe on stderr. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"

#define LINE_LIMIT 4096

static char captured[3 * LINE_LIMIT];
static int saved_stderr, reader;

static void capture_begin(void)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    (void)close(ends[1]);
    reader = ends[0];
}

/* The lines written meanwhile. */
static const char *capture_end(void)
{
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    (void)close(saved_stderr);
    size_t used = 0;
    ssize_t n;
    while ((n = read(reader, captured + used, sizeof(captured) - 1 - used)) > 0)
        used += (size_t)n;
    (void)close(reader);
    captured[used] = '\0';
    return captured;
}

static int plain(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    log_init(LOG_LEVEL_INFO);
    log_set_debug_modules(NULL);
    log_set_context(NULL, NULL);
    return 0;
}

static void a_line_has_time_level_and_context(void **state)
{
    (void)state;
    log_set_context("req-1", "7e0b7f6a-5d3a-4a0e-9f52-0d8f6d7c1f00");
    capture_begin();
    errno = EBUSY;
    log_warning("disk %d", 7);
    int errnum = errno;
    const char *line = capture_end();
    assert_int_equal(errnum, EBUSY);
    struct tm tm;
    const char *rest = strptime(line, "%Y-%m-%d %H:%M:%S", &tm);
    assert_non_null(rest);
    assert_int_equal(rest[0], '.');
    assert_int_equal(strspn(rest + 1, "0123456789"), 3);
    assert_string_equal(rest + 4,
                        " WARNING [req-1 instance: 7e0b7f6a-5d3a-4a0e-9f52-0d8f6d7c1f00] disk 7\n");
}

static void only_chosen_levels_are_written(void **state)
{
    (void)state;
    assert_true(log_enabled(LOG_LEVEL_INFO));
    assert_false(log_enabled(LOG_LEVEL_DEBUG));
    capture_begin();
    log_debug("no");
    log_info("yes");
    const char *line = capture_end();
    assert_non_null(strstr(line, "INFO [-] yes\n"));
    assert_null(strstr(line, "no"));
}

static void log_from(const char *file, enum log_level level)
{
    const struct log_place place = {file, 1, "f"};
    log_write(level, &place, "%s", file);
}

static void debug_lines_are_those_of_chosen_rooms(void **state)
{
    (void)state;
    static const char *const chosen[] = {"amqp", "no_room", "driver", NULL};
    static const char *const none[] = {NULL};
    log_init(LOG_LEVEL_DEBUG);
    log_set_debug_modules(chosen);
    capture_begin();
    log_from("amqp/bus.c", LOG_LEVEL_DEBUG);
    log_from("driver/snapshot/live.c", LOG_LEVEL_DEBUG);
    log_from("agent/main.c", LOG_LEVEL_DEBUG);
    log_from("amqp", LOG_LEVEL_DEBUG);
    log_from("driver_x/y.c", LOG_LEVEL_DEBUG);
    log_from("common/http.c", LOG_LEVEL_INFO);
    log_debug("here");
    const char *lines = capture_end();
    assert_non_null(strstr(lines, "DEBUG [-] amqp/bus.c\n"));
    assert_non_null(strstr(lines, "DEBUG [-] driver/snapshot/live.c\n"));
    assert_non_null(strstr(lines, "INFO [-] common/http.c\n"));
    assert_null(strstr(lines, "agent/main.c"));
    assert_null(strstr(lines, "driver_x"));
    assert_null(strstr(lines, "here"));
    log_set_debug_modules(none);
    capture_begin();
    log_from("agent/main.c", LOG_LEVEL_DEBUG);
    log_debug("here");
    lines = capture_end();
    assert_non_null(strstr(lines, "agent/main.c"));
    assert_non_null(strstr(lines, "here"));
}

static void the_journal_gets_priorities_and_no_time(void **state)
{
    (void)state;
    assert_int_equal(setenv("JOURNAL_STREAM", "8:1", 1), 0);
    log_init(LOG_LEVEL_DEBUG);
    capture_begin();
    log_error("a");
    log_warning("b");
    log_info("c");
    log_debug("d");
    assert_string_equal(capture_end(), "<3>ERROR [-] a\n<4>WARNING [-] b\n<6>INFO [-] c\n"
                                       "<7>DEBUG [-] d\n");
}

static void text_from_outside_makes_no_second_line(void **state)
{
    (void)state;
    log_set_context("req\n<0>x", "i\x1b[2J");
    capture_begin();
    log_info("%s", "a\nERROR forged\r\t\x1b[31m\x7f\xc2\x9b"
                   "31m\xff\xc3\xa4");
    const char *line = capture_end();
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_null(strchr(line, '\x1b'));
    assert_null(strstr(line, "\xc2\x9b")); /* ESC [ in one character */
    assert_non_null(strstr(line, "31m?\xc3\xa4\n"));
    assert_non_null(strstr(line, "[req <0>x instance: i [2J] a ERROR forged"));
}

static void long_text_is_cut(void **state)
{
    (void)state;
    char text[2 * LINE_LIMIT];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    log_set_context(text, text);
    capture_begin();
    log_info("%s", text);
    const char *line = capture_end();
    assert_in_range(strlen(line), LINE_LIMIT - 10, LINE_LIMIT);
    assert_int_equal(line[strlen(line) - 1], '\n');
}

static void *log_in_thread(void *opaque)
{
    (void)opaque;
    log_set_context("req-other", NULL);
    log_info("there");
    return NULL;
}

static void the_context_is_the_threads_own(void **state)
{
    (void)state;
    pthread_t thread;
    log_set_context("req-mine", NULL);
    capture_begin();
    assert_int_equal(pthread_create(&thread, NULL, log_in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    log_info("here");
    const char *lines = capture_end();
    assert_non_null(strstr(lines, "[req-other] there\n"));
    assert_non_null(strstr(lines, "[req-mine] here\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_has_time_level_and_context, plain),
        cmocka_unit_test_setup(only_chosen_levels_are_written, plain),
        cmocka_unit_test_setup(debug_lines_are_those_of_chosen_rooms, plain),
        cmocka_unit_test_setup(the_journal_gets_priorities_and_no_time, plain),
        cmocka_unit_test_setup(text_from_outside_makes_no_second_line, plain),
        cmocka_unit_test_setup(long_text_is_cut, plain),
        cmocka_unit_test_setup(the_context_is_the_threads_own, plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
