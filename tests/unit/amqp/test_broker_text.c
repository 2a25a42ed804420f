/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/broker_text.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "amqp/broker_text.h"
#include "common/transport_url.h"

static void expect_text(const char *text, const char *wanted)
{
    char words[BROKER_TEXT_SIZE];
    broker_text(403, amqp_cstring_bytes(text), words);
    assert_string_equal(words, wanted);
}

static void has_no_password_of_ours(void **state)
{
    (void)state;
    struct transport_url *url = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(transport_url_parse("rabbit://nova:hun%25ter2@a,nova:other2@b", &url, &err),
                     0);
    expect_text("ACCESS_REFUSED - user 'nova', password 'hun%ter2'",
                "403 ACCESS_REFUSED - user 'nova', password '***'");
    struct transport_url *copy = transport_url_copy(url);
    transport_url_free(url);
    assert_non_null(copy);
    expect_text("hun%ter2 or other2", "403 *** or ***");
    transport_url_free(copy);
    expect_text("hun%ter2 or other2", "403 hun%ter2 or other2");
}

static void is_as_long_as_a_short_string(void **state)
{
    (void)state;
    char text[256], words[BROKER_TEXT_SIZE];
    memset(text, 'x', 255);
    text[255] = '\0';
    broker_text(65535, amqp_cstring_bytes(text), words);
    assert_int_equal(strlen(words), 6 + 255);
    broker_text(200, amqp_empty_bytes, words);
    assert_string_equal(words, "200 ");
}

static void tells_the_largest_message(void **state)
{
    (void)state;
    assert_int_equal(broker_text_max_message_bytes("406 PRECONDITION_FAILED - message size 200108 "
                                                   "is larger than configured max size 100000"),
                     100000);
    assert_int_equal(broker_text_max_message_bytes("406 PRECONDITION_FAILED - message size 7 is "
                                                   "larger than max size 5"),
                     5);
    static const char *const others[] = {"", "406 message size 7", "406 max size 5",
                                         "406 message size 7 is larger than max size x"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(broker_text_max_message_bytes(others[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_no_password_of_ours),
        cmocka_unit_test(is_as_long_as_a_short_string),
        cmocka_unit_test(tells_the_largest_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
