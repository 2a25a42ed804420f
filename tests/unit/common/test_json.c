/* SPDX-License-Identifier: Apache-2.0 */
/* common/json.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/json.h"

#define MAX_BYTES (1u << 20)

static int parse_text(const char *text, size_t length, json_t **value, struct error *err)
{
    return json_parse(text, length, MAX_BYTES, "the message", value, err);
}

static void sound_text_is_parsed(void **state)
{
    (void)state;
    json_t *value = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(parse_text("{\"a\": [1, \"x\"], \"a\": 2}", 23, &value, &err), 0);
    assert_int_equal(json_object_size(value), 1);
    assert_int_equal(json_integer_value(json_object_get(value, "a")), 2);
    json_decref(value);
    assert_int_equal(parse_text("7 beyond", 1, &value, &err), 0);
    assert_true(json_is_integer(value));
    json_decref(value);
}

static void hostile_text_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",      " ",        "{",           "{\"a\"",        "{\"a\":}",          "[1,]",
        "nul",   "\"\xff\"", "\"\\ud800\"", "\"a\\u0000b\"", "{\"a\\u0000\": 1}", "{1: 2}",
        "1e999", "{} {}",    "\"\n\"",      "\x80",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        json_t *value = NULL;
        struct error err = ERROR_INIT;
        assert_int_equal(parse_text(texts[i], strlen(texts[i]), &value, &err), -EBADMSG);
        assert_null(value);
        assert_memory_equal(err.message, "the message is no JSON: ", 24);
        assert_null(strchr(err.message, '\n'));
    }
}

/* Three bytes of text become 180 of memory. */
static void values_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *value; /* with what stands before the next one */
        const char *begin, *end;
    } rows[] = {
        {"{},", "[", "0]"}, {"[],", "[", "0]"}, {"0,", "[", "0]"}, {"\"a\":1,", "{", "\"b\":0}"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (size_t n = JSON_VALUES_MAX / 2 - 2; n <= JSON_VALUES_MAX;
             n += JSON_VALUES_MAX / 2 + 2) {
            size_t step = strlen(rows[i].value);
            cleanup_free char *text = malloc(n * step + 16);
            json_t *value = NULL;
            struct error err = ERROR_INIT;
            char *end = stpcpy(text, rows[i].begin);
            for (size_t k = 0; k < n; k++)
                end = stpcpy(end, rows[i].value);
            end = stpcpy(end, rows[i].end);
            int r = json_parse(text, (size_t)(end - text), SIZE_MAX, "the message", &value, &err);
            assert_int_equal(r, n == JSON_VALUES_MAX ? -EMSGSIZE : 0);
            if (r < 0)
                assert_non_null(strstr(err.message, "the message has more than 250000 values"));
            json_decref(value);
        }
    }
}

/* Nothing in a string is a value of its own. */
static void text_in_strings_is_not_counted(void **state)
{
    (void)state;
    size_t n = 4 * JSON_VALUES_MAX;
    cleanup_free char *text = malloc(n + 16);
    json_t *value = NULL;
    struct error err = ERROR_INIT;
    char *end = stpcpy(text, "[\"\\\"");
    memset(end, ',', n);
    end = stpcpy(end + n, "\\\\\"]");
    assert_int_equal(json_parse(text, (size_t)(end - text), SIZE_MAX, "it", &value, &err), 0);
    assert_int_equal(json_string_length(json_array_get(value, 0)), n + 2);
    json_decref(value);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    size_t depth = JSON_VALUES_MAX / 2;
    char *text = malloc(depth);
    assert_non_null(text);
    static const char *const openings = "[{";
    for (const char *c = openings; *c != '\0'; c++) {
        json_t *value = NULL;
        struct error err = ERROR_INIT;
        memset(text, *c, depth);
        assert_int_equal(parse_text(text, depth, &value, &err), -EBADMSG);
    }
    free(text);
}

static void length_is_bounded(void **state)
{
    (void)state;
    json_t *value = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(json_parse("[1, 2]", 6, 5, "the message", &value, &err), -EMSGSIZE);
    assert_string_equal(err.message, "the message is 6 bytes long, more than 5");
    assert_int_equal(json_parse("[1, 2]", 6, 6, "the message", &value, &err), 0);
    json_decref(value);
}

static void errors_do_not_quote_the_text(void **state)
{
    (void)state;
    static const char text[] = "{\"password\": \"s3cret\" \"next\": 1}";
    json_t *value = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(parse_text(text, strlen(text), &value, &err), -EBADMSG);
    assert_null(strstr(err.message, "next"));
    assert_null(strstr(err.message, "s3cret"));
}

static void members_are_named_when_missing(void **state)
{
    (void)state;
    json_t *object = json_pack("{s:s, s:i, s:{}}", "text", "x", "number", 1, "object");
    const char *string = NULL;
    json_t *member = NULL;
    struct error err = ERROR_INIT;
    assert_string_equal(json_string_member(object, "text"), "x");
    assert_null(json_string_member(object, "number"));
    assert_null(json_string_member(NULL, "text"));
    assert_int_equal(json_need_string(object, "text", "the message", &string, &err), 0);
    assert_string_equal(string, "x");
    assert_int_equal(json_need_object(object, "object", "the message", &member, &err), 0);
    assert_true(json_is_object(member));
    assert_int_equal(err.errnum, 0);
    assert_int_equal(json_need_string(object, "number", "the message", &string, &err), -EINVAL);
    assert_string_equal(err.message, "the message has no string 'number'");
    assert_int_equal(json_need_object(object, "text", "the message", &member, &err), -EINVAL);
    assert_string_equal(err.message, "the message has no object 'text'");
    assert_int_equal(json_need_object(NULL, "text", "the message", &member, &err), -EINVAL);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_text_is_parsed),
        cmocka_unit_test(hostile_text_is_refused),
        cmocka_unit_test(values_are_bounded),
        cmocka_unit_test(text_in_strings_is_not_counted),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(length_is_bounded),
        cmocka_unit_test(errors_do_not_quote_the_text),
        cmocka_unit_test(members_are_named_when_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
