/* SPDX-License-Identifier: Apache-2.0 */
/* glance_client/image_list.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/glance_client/fixture.h"

#define FIRST "/v2/images?sort=created_at:desc&limit=200"
#define OTHER_ID "11111111-5d3a-4a0e-9f52-0d8f6d7c1f00"
#define RECORD(id, type)                                                                           \
    "{\"id\": \"" id "\", \"status\": \"active\", \"image_type\": \"" type "\"}"
#define EVIL "http://evil.example/v2/images?marker=x"

/* Lists with `filters` (stolen). */
static int list(const struct http_step *steps, size_t count, json_t *filters, json_t **ret_records,
                struct error *err)
{
    struct fixture fixture;
    assert_non_null(filters);
    fixture_start(&fixture, steps, count, NULL);
    int r = glance_image_list(fixture.glance, fixture.context, filters, ret_records, err);
    fixture_finish(&fixture);
    json_decref(filters);
    assert_int_equal(r, -err->errnum);
    return r;
}

static const char *id_at(const json_t *records, size_t i)
{
    return json_string_value(json_object_get(json_array_get(records, i), "id"));
}

static void all_pages_are_read_in_order(void **state)
{
    (void)state;
    const struct http_step steps[] = {
        {.method = "GET",
         .path = FIRST "&image_type=backup",
         .headers = {"X-Auth-Token: user-token"},
         .reply = "{\"images\": [" RECORD(
             IMAGE_ID, "backup") "],"
                                 " \"next\": \"/v2/images?image_type=backup&marker=a%20b\"}"},
        {.status = 503},
        {.method = "GET",
         .path = "/v2/images?image_type=backup&marker=a%20b",
         .reply = "{\"images\": [" RECORD(OTHER_ID, "backup") "], \"first\": \"/v2/images\"}"},
    };
    json_t *records = NULL;
    struct error err = ERROR_INIT;
    if (list(steps, ARRAY_SIZE(steps), json_pack("{s:s}", "image_type", "backup"), &records, &err))
        fail_msg("%s", err.message);
    assert_int_equal(json_array_size(records), 2);
    assert_string_equal(id_at(records, 0), IMAGE_ID);
    assert_string_equal(id_at(records, 1), OTHER_ID);
    json_decref(records);
}

static void filters_cannot_add_parameters(void **state)
{
    (void)state;
    const struct http_step step = {
        .method = "GET", .path = FIRST "&a%26b=c%26d%3D1%20%23%0D%0A", .reply = "{\"images\": []}"};
    json_t *records = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(list(&step, 1, json_pack("{s:s}", "a&b", "c&d=1 #\r\n"), &records, &err), 0);
    assert_int_equal(json_array_size(records), 0);
    json_decref(records);
}

static void what_does_not_match_is_left_out(void **state)
{
    (void)state;
    const struct http_step step = {
        .reply = "{\"images\": [" RECORD(OTHER_ID, "snapshot") ","
                                                               " {\"id\": \"" OTHER_ID
                                                               "\", \"status\": \"queued\"},"
                                                               " " RECORD(IMAGE_ID, "backup") "]}"};
    json_t *records = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(list(&step, 1, json_pack("{s:s}", "image_type", "backup"), &records, &err), 0);
    assert_int_equal(json_array_size(records), 1);
    assert_string_equal(id_at(records, 0), IMAGE_ID);
    json_decref(records);
}

static void hostile_lists_are_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "[]",
        "{}",
        "{\"images\": {}}",
        "{\"images\": [1]}",
        "{\"images\": [{\"id\": \"../../v3\", \"status\": \"active\"}]}",
        "{\"images\": [{\"id\": \"" IMAGE_ID "\"}]}",
        "{\"images\": [], \"next\": 1}",
        "{\"images\": [], \"next\": \"" EVIL "\"}",
        "{\"images\": [], \"next\": \"//evil.example/v2/images?marker=x\"}",
        "{\"images\": [], \"next\": \"/v2/images/../../v3/users?marker=x\"}",
        "{\"images\": [], \"next\": \"/v2/images\"}",
        "{\"images\": [], \"next\": \"/v2/images?a b\"}",
        "{\"images\": [], \"next\": \"/v2/images?a\\r\\nX: y\"}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        const struct http_step step = {.reply = bodies[i]};
        json_t *records = NULL;
        struct error err = ERROR_INIT;
        if (list(&step, 1, json_object(), &records, &err) != -EBADMSG)
            fail_msg("%s", bodies[i]);
        assert_null(records);
    }
}

static void endless_lists_are_refused(void **state)
{
    (void)state;
    struct http_step steps[100];
    json_t *records = NULL;
    struct error err = ERROR_INIT;
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        steps[i] =
            (struct http_step){.reply = "{\"images\": [], \"next\": \"/v2/images?marker=again\"}"};
    assert_int_equal(list(steps, ARRAY_SIZE(steps), json_object(), &records, &err), -EMSGSIZE);
    assert_null(records);
}

static void too_many_images_are_refused(void **state)
{
    (void)state;
    json_t *images = json_array();
    for (int i = 0; i < 10001; i++)
        assert_int_equal(json_array_append_new(
                             images, json_pack("{s:s, s:s}", "id", IMAGE_ID, "status", "active")),
                         0);
    json_t *page = json_pack("{s:o}", "images", images);
    char *body = json_dumps(page, JSON_COMPACT);
    const struct http_step step = {.reply = body};
    json_t *records = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(list(&step, 1, json_object(), &records, &err), -EMSGSIZE);
    free(body);
    json_decref(page);
}

static void refusals_and_unusable_filters(void **state)
{
    (void)state;
    const struct http_step forbidden = {.status = 403};
    json_t *records = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(list(&forbidden, 1, json_object(), &records, &err), -EACCES);
    expect_error(&err, EACCES, EXC_FORBIDDEN, 403); /* _translate_plain_exception */
    assert_int_equal(err.code, 403);
    err = (struct error)ERROR_INIT;
    assert_int_equal(list(NULL, 0, json_pack("{s:i}", "size", 1), &records, &err), -EINVAL);
    assert_non_null(strstr(err.message, "'size'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_pages_are_read_in_order),
        cmocka_unit_test(filters_cannot_add_parameters),
        cmocka_unit_test(what_does_not_match_is_left_out),
        cmocka_unit_test(hostile_lists_are_refused),
        cmocka_unit_test(endless_lists_are_refused),
        cmocka_unit_test(too_many_images_are_refused),
        cmocka_unit_test(refusals_and_unusable_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
