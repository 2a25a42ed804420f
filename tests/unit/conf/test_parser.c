/* SPDX-License-Identifier: Apache-2.0 */
/* conf/parser.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/parser.h"

static struct assignments all;

static int drop(void **state)
{
    (void)state;
    assignments_done(&all);
    return 0;
}

static int parse_text(const char *text, struct error *err)
{
    assignments_done(&all);
    return parser_read_text(&all, "f.conf", text, strlen(text), err);
}

static void reads_what_oslo_reads(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name, *value;
    } rows[] = {
        {"[g]\nkey = value\n", "key", "value"},
        {"[g]\nkey: value", "key", "value"},
        {"[g]\nkey=a:b=c\n", "key", "a:b=c"},
        {"[g]\nkey:a=b\n", "key", "a=b"},
        {"[g]\nkey =\n", "key", ""},
        {"[g]\nkey = \"quoted value\"\n", "key", "quoted value"},
        {"[g]\nkey = 'it'\n", "key", "it"},
        {"[g]\nkey = \"half'\n", "key", "\"half'"},
        {"[g]\nkey = \"\n", "key", ""},
        {"[g]\nkey = \u00a0pasted\u3000\u00a0\n", "key", "pasted"},
        {"[g]\n\u00a0key\u00a0=\tv w\v\n", "key", "v w"},
        {"[g]\nkey = a # no comment\n", "key", "a # no comment"},
        {"[g]\nkey = one\n  two\n\tthree\n", "key", "one\ntwo\nthree"},
        {"[g]\nkey = one\n# comment ends it\n", "key", "one"},
        {"[g]\r\nkey = value\r\n", "key", "value"},
        {"[g]\nuser-name = x\n", "user-name", "x"},
        {"# c\n; c\n\n[g]\nkey = value", "key", "value"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        assert_int_equal(parse_text(rows[i].text, &err), 0);
        assert_int_equal(all.n, 1);
        assert_string_equal(all.items[0].group, "g");
        assert_string_equal(all.items[0].name, rows[i].name);
        assert_string_equal(all.items[0].value, rows[i].value);
    }
}

static void repeated_keys_are_all_kept_with_their_lines(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(parse_text("[a]\nk=1\n\nk=2\n[b]\nk=3\n", &err), 0);
    assert_int_equal(all.n, 3);
    assert_int_equal(all.items[1].line, 4);
    assert_string_equal(all.items[2].group, "b");
    assert_int_equal(all.items[2].line, 6);
}

static void refuses_with_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *where, *what;
    } rows[] = {
        {"key = value\n", "f.conf:1:", "section"},
        {"[g]\nno delimiter\n", "f.conf:2:", "neither"},
        {"[g]\n\n= value\n", "f.conf:3:", "no name"},
        {"[g\nkey = value\n", "f.conf:1:", "end with ]"},
        {"[]\n", "f.conf:1:", "no name"},
        {"[g]\n  continued\n", "f.conf:2:", "continuation"},
        {"[g]\nk = v\n\n  continued\n", "f.conf:4:", "continuation"},
        {"[g]\npassword s3cret\n", "f.conf:2:", "neither"},
        {"[g]\n= s3cret\n", "f.conf:2:", "no name"},
        {"[g]\n s3cret\n", "f.conf:2:", "continuation"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        assert_int_equal(parse_text(rows[i].text, &err), -EINVAL);
        if (!strstr(err.message, rows[i].where) || !strstr(err.message, rows[i].what))
            fail_msg("row %zu: %s", i, err.message);
        assert_null(strstr(err.message, "s3cret"));
    }
}

static void refuses_binary_and_survives_garbage(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(parser_read_text(&all, "b", "[g]\nk=\0v", 8, &err), -EINVAL);
    unsigned seed = 7;
    for (int round = 0; round < 2000; round++) {
        char text[64];
        size_t length = (size_t)rand_r(&seed) % sizeof(text);
        for (size_t i = 0; i < length; i++)
            text[i] = "[]=:#; \t\n\"'ab$\r"[rand_r(&seed) % 15];
        assignments_done(&all);
        (void)parser_read_text(&all, "g", text, length, &err);
    }
}

static void refuses_too_large_a_file(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(parser_read_file(&all, "/dev/zero", &err), -EFBIG);
    assert_int_equal(parser_read_file(&all, "/no/such/file", &err), -ENOENT);
    assert_non_null(strstr(err.message, "/no/such/file"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_teardown(function, drop)
    const struct CMUnitTest tests[] = {
        TEST(reads_what_oslo_reads),      TEST(repeated_keys_are_all_kept_with_their_lines),
        TEST(refuses_with_file_and_line), TEST(refuses_binary_and_survives_garbage),
        TEST(refuses_too_large_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
