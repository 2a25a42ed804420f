/* SPDX-License-Identifier: Apache-2.0 */
/* common/id.c */
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
#include "common/id.h"

static void new_ids_have_their_form(void **state)
{
    (void)state;
    char hex[ID_HEX_SIZE];
    char uuid[ID_UUID_SIZE];
    char other[ID_UUID_SIZE];
    char request_id[ID_REQUEST_ID_SIZE];
    id_new_hex(hex);
    assert_int_equal(strlen(hex), 32);
    assert_int_equal(strspn(hex, "0123456789abcdef"), 32);
    id_new_uuid(uuid);
    id_new_uuid(other);
    assert_true(id_is_uuid(uuid));
    assert_string_not_equal(uuid, other);
    id_new_request_id(request_id);
    assert_memory_equal(request_id, "req-", 4);
    assert_true(id_is_uuid(request_id + 4));
}

static void only_a_uuid_is_a_uuid(void **state)
{
    (void)state;
    static const char *const others[] = {
        "",
        "-",
        "7e0b7f6a-5d3a-4a0e-9f52-0d8f6d7c1f0",
        "7e0b7f6a-5d3a-4a0e-9f52-0d8f6d7c1f000",
        "7e0b7f6a-5d3a-4a0e-9f52-0d8f6d7c1f00 ",
        "7e0b7f6a-5d3a-4a0e-9f52-0d8f6d7c1f00\n",
        "7e0b7f6a5d3a4a0e9f520d8f6d7c1f00",
        "7e0b7f6a-5d3a-4a0e-9f520-d8f6d7c1f00",
        "7e0b7f6g-5d3a-4a0e-9f52-0d8f6d7c1f00",
        "../b7f6a-5d3a-4a0e-9f52-0d8f6d7c1f00",
        ("\xff"
         "e0b7f6a-5d3a-4a0e-9f52-0d8f6d7c1f00"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_false(id_is_uuid(others[i]));
    assert_false(id_is_uuid(NULL));
    assert_true(id_is_uuid("7e0b7f6a-5d3a-4a0e-9f52-0d8f6d7c1f00"));
    assert_true(id_is_uuid("7E0B7F6A-5D3A-4A0E-9F52-0D8F6D7C1F00"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_ids_have_their_form),
        cmocka_unit_test(only_a_uuid_is_a_uuid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
