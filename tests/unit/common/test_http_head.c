/* SPDX-License-Identifier: Apache-2.0 */
/* common/http_head.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/http_head.h"

/* Gives the lines of `text` one by one, as libcurl does; the first result that is no success. */
static int add_lines(struct http_head *head, const char *text, struct error *err)
{
    int r = 0;
    while (r == 0 && *text != '\0') {
        const char *end = strchr(text, '\n');
        size_t length = end ? (size_t)(end - text) + 1 : strlen(text);
        r = http_head_add(head, text, length, err);
        text += length;
    }
    return r;
}

static void headers_are_names_and_values(void **state)
{
    (void)state;
    struct http_head head = {0};
    struct error err = ERROR_INIT;
    assert_int_equal(add_lines(&head,
                               "HTTP/1.1 200 OK\r\nX-Plain: a b\r\nX-Bare:c\nX-Wide: \t d \t\r\n"
                               "X-Empty:\r\nX-Url: http://x:1\r\n\r\n",
                               &err),
                     0);
    assert_int_equal(head.answer.header_count, 5);
    assert_string_equal(http_response_header(&head.answer, "x-plain"), "a b");
    assert_string_equal(http_response_header(&head.answer, "X-Bare"), "c");
    assert_string_equal(http_response_header(&head.answer, "X-Wide"), "d");
    assert_string_equal(http_response_header(&head.answer, "X-Empty"), "");
    assert_string_equal(http_response_header(&head.answer, "X-Url"), "http://x:1");
    http_response_done(&head.answer);
}

static void only_the_last_head_counts(void **state)
{
    (void)state;
    struct http_head head = {0};
    struct error err = ERROR_INIT;
    assert_int_equal(add_lines(&head,
                               "HTTP/1.1 100 Continue\r\nX-Early: a\r\n\r\n"
                               "HTTP/1.1 201 Created\r\nX-Last: b\r\n\r\nX-Trailer: c\r\n",
                               &err),
                     0);
    assert_int_equal(head.answer.header_count, 1);
    assert_string_equal(http_response_header(&head.answer, "X-Last"), "b");
    http_response_done(&head.answer);
}

static void what_is_no_header_is_left_out(void **state)
{
    (void)state;
    struct http_head head = {0};
    struct error err = ERROR_INIT;
    assert_int_equal(add_lines(&head,
                               "X-Before: a\r\nHTTP/1.1 200 OK\r\nno colon\r\n: no name\r\n"
                               "X-A: b\r\n  X-Folded: c\r\n\r\n",
                               &err),
                     0);
    assert_int_equal(head.answer.header_count, 1);
    assert_string_equal(http_response_header(&head.answer, "X-A"), "b");
    http_response_done(&head.answer);
}

static void a_head_is_bounded(void **state)
{
    (void)state;
    static char line[64u << 10];
    struct http_head head = {0};
    struct error err = ERROR_INIT;
    memset(line, 'x', sizeof(line));
    line[1] = ':';
    assert_int_equal(add_lines(&head, "HTTP/1.1 200 OK\r\n", &err), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(http_head_add(&head, line, sizeof(line), &err), 0);
    assert_int_equal(http_head_add(&head, line, sizeof(line), &err), -EMSGSIZE);
    assert_string_equal(err.message, "the answer's head is too large");

    /* Not so the ones before it. */
    assert_int_equal(add_lines(&head, "\r\nHTTP/1.1 200 OK\r\n", &err), 0);
    assert_int_equal(http_head_add(&head, line, sizeof(line), &err), 0);
    http_response_done(&head.answer);
}

static void headers_are_counted(void **state)
{
    (void)state;
    struct http_head head = {0};
    struct error err = ERROR_INIT;
    assert_int_equal(add_lines(&head, "HTTP/1.1 200 OK\r\n", &err), 0);
    for (int i = 0; i < HTTP_ANSWER_HEADERS_MAX; i++)
        assert_int_equal(add_lines(&head, "X-A: b\r\n", &err), 0);
    assert_int_equal(add_lines(&head, "X-A: b\r\n", &err), -EMSGSIZE);
    http_response_done(&head.answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_names_and_values),
        cmocka_unit_test(only_the_last_head_counts),
        cmocka_unit_test(what_is_no_header_is_left_out),
        cmocka_unit_test(a_head_is_bounded),
        cmocka_unit_test(headers_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
