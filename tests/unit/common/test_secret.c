/* SPDX-License-Identifier: Apache-2.0 */
/* common/secret.c: what others quote of our secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/secret.h"

static void expect_stripped(const char *text, const char *wanted)
{
    char copy[512];
    (void)snprintf(copy, sizeof(copy), "%s", text);
    secret_strip(copy);
    assert_string_equal(copy, wanted);
}

static void known_secrets_are_taken_out(void **state)
{
    (void)state;
    static const char one[] = "hunter22";
    static const char other[] = "hunter2";
    expect_stripped("no hunter22 here", "no hunter22 here");
    assert_true(secret_watch(one));
    assert_true(secret_watch(other));
    expect_stripped("hunter22hunter2, 'hunter22' and hunter", "******, '***' and hunter");
    expect_stripped("hunter22", "***");
    expect_stripped("", "");
    secret_unwatch(one);
    expect_stripped("no hunter22, no hunter2", "no ***2, no ***");
    secret_unwatch(other);
    expect_stripped("no hunter22", "no hunter22");
}

/* As it stands in a JSON text, in one inside another, in a URL, on an HTML page. */
static void whatever_they_were_quoted_as(void **state)
{
    (void)state;
    static const char secret[] = "p\"a/s\\s<\xc3\xa9&\xf0\x9f\x92\xbe'";
    assert_true(secret_watch(secret));
    expect_stripped("<p\"a/s\\s<\xc3\xa9&\xf0\x9f\x92\xbe'>", "<***>");
    expect_stripped("<p\\\"a/s\\\\s<\xc3\xa9&\xf0\x9f\x92\xbe'>", "<***>");
    expect_stripped("<p\\\"a\\/s\\\\s\\u003C\\u00e9\\u0026\\ud83d\\udcbe\\u0027>", "<***>");
    expect_stripped("<p\\\\\\\"a/s\\\\\\\\s\\\\u003c\\\\u00e9&\xf0\x9f\x92\xbe'>", "<***>");
    expect_stripped("<p%22a%2Fs%5cs%3C%C3%A9%26%F0%9F%92%BE%27>", "<***>");
    expect_stripped("<p&quot;a/s\\s&lt;\xc3\xa9&amp;\xf0\x9f\x92\xbe&#39;>", "<***>");
    expect_stripped("<p&#34;a/s\\s&lt;\xc3\xa9&amp;\xf0\x9f\x92\xbe&#x27;>", "<***>");
    expect_stripped("<p\"a/s\\s<\xc3\xa9&\xf0\x9f\x92>", "<p\"a/s\\s<\xc3\xa9&\xf0\x9f\x92>");
    secret_unwatch(secret);
}

static void what_is_freed_is_known_no_more(void **state)
{
    (void)state;
    char *secret = strdup("hunter2");
    assert_true(secret_watch(secret));
    expect_stripped("hunter2", "***");
    secret_free(secret);
    expect_stripped("hunter2", "hunter2");
    secret_free(NULL);
}

/* Nothing would be left of any text. */
static void no_text_is_made_of_stars(void **state)
{
    (void)state;
    static const char *const shorts[] = {NULL, "", "a", "ab", "abc"};
    for (size_t i = 0; i < sizeof(shorts) / sizeof(shorts[0]); i++)
        assert_true(secret_watch(shorts[i]));
    expect_stripped("abc ab a", "abc ab a");
    for (size_t i = 0; i < sizeof(shorts) / sizeof(shorts[0]); i++)
        secret_unwatch(shorts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_secrets_are_taken_out),
        cmocka_unit_test(whatever_they_were_quoted_as),
        cmocka_unit_test(what_is_freed_is_known_no_more),
        cmocka_unit_test(no_text_is_made_of_stars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
