/* SPDX-License-Identifier: Apache-2.0 */
/* common/request_context.c */
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
#include "common/request_context.h"

static struct request_context *from_text(const char *text)
{
    json_t *message = json_loads(text, 0, NULL);
    assert_non_null(message);
    struct request_context *context = NULL;
    struct error err = ERROR_INIT;
    if (request_context_from_message(message, &context, &err) < 0)
        fail_msg("%s", err.message);
    json_decref(message);
    return context;
}

static void known_keys_are_read_and_all_are_kept(void **state)
{
    (void)state;
    struct request_context *context =
        from_text("{\"method\": \"snapshot_instance\", \"_context_request_id\": \"req-1\","
                  " \"_context_global_request_id\": \"req-2\", \"_context_user_id\": \"U\","
                  " \"_context_project_id\": \"P\", \"_context_auth_token\": \"T\","
                  " \"_context_service_catalog\": [{}], \"_context_future\": {\"a\": 1},"
                  " \"context\": 1}");
    assert_string_equal(context->request_id, "req-1");
    assert_string_equal(request_context_global_id(context), "req-2");
    assert_string_equal(context->user_id, "U");
    assert_string_equal(context->project_id, "P");
    assert_string_equal(context->auth_token, "T");
    assert_int_equal(json_array_size(context->service_catalog), 1);
    assert_int_equal(json_object_size(context->values), 7);

    json_t *message = json_object();
    struct error err = ERROR_INIT;
    assert_int_equal(request_context_add_to_message(context, message, &err), 0);
    assert_int_equal(json_object_size(message), 7);
    assert_non_null(json_object_get(json_object_get(message, "_context_future"), "a"));
    json_decref(message);
    request_context_free(context);
}

static void absent_and_strange_keys_are_empty(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}", "[]", "null", "{\"_context_\": 1}",
        ("{\"_context_request_id\": null, \"_context_auth_token\": 7, \"_context_user_id\": [],"
         " \"_context_service_catalog\": {}, \"_context_global_request_id\": false}")};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        json_t *message = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        struct request_context *context = NULL;
        struct error err = ERROR_INIT;
        assert_int_equal(request_context_from_message(message, &context, &err), 0);
        assert_string_equal(context->request_id, "");
        assert_string_equal(context->auth_token, "");
        assert_string_equal(context->user_id, "");
        assert_string_equal(request_context_global_id(context), "");
        assert_null(context->service_catalog);
        json_decref(message);
        request_context_free(context);
    }
}

static void header_values_without_control_characters(void **state)
{
    (void)state;
    static const char *const keys[] = {"_context_request_id", "_context_global_request_id",
                                       "_context_auth_token"};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        json_t *values[] = {json_string("s3cret\r\nX-Evil: 1"), json_string("s3cret\n"),
                            json_stringn("s3cret\0x", 8), json_string("s3cret\x1b"),
                            json_string("s3cret\x7f")};
        for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
            json_t *message = json_pack("{s:o}", keys[i], values[j]);
            struct request_context *context = NULL;
            struct error err = ERROR_INIT;
            assert_non_null(message);
            assert_int_equal(request_context_from_message(message, &context, &err), -EINVAL);
            assert_null(context);
            assert_non_null(strstr(err.message, keys[i] + strlen("_context_")));
            assert_null(strstr(err.message, "s3cret"));
            json_decref(message);
        }
    }
}

static void elevated_is_a_copy_with_the_admin_role(void **state)
{
    (void)state;
    struct request_context *context =
        from_text("{\"_context_request_id\": \"req-1\", \"_context_is_admin\": false,"
                  " \"_context_auth_token\": \"T\", \"_context_roles\": [\"member\", 1]}");
    struct request_context *elevated = NULL;
    struct request_context *again = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(request_context_elevated(context, &elevated, &err), 0);
    assert_true(json_is_true(json_object_get(elevated->values, "is_admin")));
    assert_int_equal(json_array_size(json_object_get(elevated->values, "roles")), 3);
    assert_string_equal(elevated->auth_token, "T");
    assert_true(json_is_false(json_object_get(context->values, "is_admin")));
    assert_int_equal(json_array_size(json_object_get(context->values, "roles")), 2);
    request_context_free(context);
    assert_string_equal(elevated->request_id, "req-1"); /* lives on its own */

    assert_int_equal(request_context_elevated(elevated, &again, &err), 0);
    assert_int_equal(json_array_size(json_object_get(again->values, "roles")), 3);
    request_context_free(again);
    request_context_free(elevated);

    context = from_text("{\"_context_roles\": \"admin\"}");
    assert_int_equal(request_context_elevated(context, &elevated, &err), 0);
    assert_int_equal(json_array_size(json_object_get(elevated->values, "roles")), 1);
    request_context_free(elevated);
    request_context_free(context);
}

static void the_agents_own_context_is_admin(void **state)
{
    (void)state;
    struct request_context *context = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(request_context_new_admin(&context, &err), 0);
    assert_true(json_is_true(json_object_get(context->values, "is_admin")));
    assert_true(id_is_uuid(context->request_id + strlen("req-")));
    assert_string_equal(request_context_global_id(context), context->request_id);
    assert_string_equal(context->auth_token, "");
    request_context_free(context);
    request_context_free(NULL);
}

static void a_huge_key_is_an_error(void **state)
{
    (void)state;
    char key[300] = "_context_";
    memset(key + 9, 'k', sizeof(key) - 10);
    key[sizeof(key) - 1] = '\0';
    json_t *message = json_pack("{s:i}", key, 1);
    struct request_context *context = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(request_context_from_message(message, &context, &err), 0);
    assert_int_equal(request_context_add_to_message(context, message, &err), -EINVAL);
    assert_non_null(strstr(err.message, "290 bytes"));
    json_decref(message);
    request_context_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_keys_are_read_and_all_are_kept),
        cmocka_unit_test(absent_and_strange_keys_are_empty),
        cmocka_unit_test(header_values_without_control_characters),
        cmocka_unit_test(elevated_is_a_copy_with_the_admin_role),
        cmocka_unit_test(the_agents_own_context_is_admin),
        cmocka_unit_test(a_huge_key_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
