/* SPDX-License-Identifier: Apache-2.0 */
/* glance_client/image_update.c */
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

/* Sends `attributes` (stolen) and expects this patch. */
static void expect_patch(json_t *attributes, const char *patch)
{
    assert_non_null(attributes);
    const struct http_step steps[] = {{
        .method = "PATCH",
        .path = IMAGE_PATH,
        .headers = {"Content-Type: application/openstack-images-v2.1-json-patch",
                    "X-Auth-Token: user-token"},
        .body = patch,
        .reply = "{}",
    }};
    struct fixture fixture;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, steps, patch ? ARRAY_SIZE(steps) : 0, NULL);
    int r = glance_image_update(fixture.glance, fixture.context, IMAGE_ID, attributes, &err);
    if (r < 0)
        fail_msg("%s", err.message);
    json_decref(attributes);
    fixture_finish(&fixture);
}

static void base_fields_are_replaced_and_properties_added(void **state)
{
    (void)state;
    expect_patch(json_pack("{s:s, s:s, s:s, s:s}", "disk_format", "qcow2", "container_format",
                           "bare", "image_location", "snapshot", "owner_id", "P"),
                 "[{\"op\":\"replace\",\"path\":\"/disk_format\",\"value\":\"qcow2\"},"
                 "{\"op\":\"replace\",\"path\":\"/container_format\",\"value\":\"bare\"},"
                 "{\"op\":\"add\",\"path\":\"/image_location\",\"value\":\"snapshot\"},"
                 "{\"op\":\"add\",\"path\":\"/owner_id\",\"value\":\"P\"}]");
}

static void values_are_pythons_str(void **state)
{
    (void)state;
    expect_patch(json_pack("{s:b, s:b, s:i, s:f, s:f, s:s}", "a", 1, "b", 0, "c", -7, "d", 0.1, "e",
                           2.0, "f", "x\"y"),
                 "[{\"op\":\"add\",\"path\":\"/a\",\"value\":\"True\"},"
                 "{\"op\":\"add\",\"path\":\"/b\",\"value\":\"False\"},"
                 "{\"op\":\"add\",\"path\":\"/c\",\"value\":\"-7\"},"
                 "{\"op\":\"add\",\"path\":\"/d\",\"value\":\"0.1\"},"
                 "{\"op\":\"add\",\"path\":\"/e\",\"value\":\"2.0\"},"
                 "{\"op\":\"add\",\"path\":\"/f\",\"value\":\"x\\\"y\"}]");
    expect_patch(json_pack("{s:i, s:s}", "min_disk", 10, "min_ram", "512"),
                 "[{\"op\":\"replace\",\"path\":\"/min_disk\",\"value\":10},"
                 "{\"op\":\"replace\",\"path\":\"/min_ram\",\"value\":512}]");
}

static void a_volume_backed_servers_properties_are_set(void **state)
{
    (void)state;
    expect_patch(json_pack("{s:s, s:s, s:s, s:b, s:s}", "disk_format", "raw", "container_format",
                           "bare", "block_device_mapping", "[{\"boot_index\": 0}]", "bdm_v2", 1,
                           "root_device_name", "/dev/vda"),
                 "[{\"op\":\"replace\",\"path\":\"/disk_format\",\"value\":\"raw\"},"
                 "{\"op\":\"replace\",\"path\":\"/container_format\",\"value\":\"bare\"},"
                 "{\"op\":\"add\",\"path\":\"/block_device_mapping\","
                 "\"value\":\"[{\\\"boot_index\\\": 0}]\"},"
                 "{\"op\":\"add\",\"path\":\"/bdm_v2\",\"value\":\"True\"},"
                 "{\"op\":\"add\",\"path\":\"/root_device_name\",\"value\":\"/dev/vda\"}]");
}

static void what_glance_would_refuse_is_left_out(void **state)
{
    (void)state;
    expect_patch(json_pack("{s:n, s:s, s:s, s:s, s:s}", "os_type", "kernel_id", "None",
                           "ramdisk_id", "", "kernel", "none", "x", ""),
                 "[{\"op\":\"add\",\"path\":\"/kernel\",\"value\":\"none\"},"
                 "{\"op\":\"add\",\"path\":\"/x\",\"value\":\"\"}]");
    expect_patch(json_pack("{s:n}", "os_type"), NULL);
    expect_patch(json_object(), NULL);
}

static void names_become_json_pointers(void **state)
{
    (void)state;
    expect_patch(json_pack("{s:s, s:s}", "a/b~c", "1", "", "2"),
                 "[{\"op\":\"add\",\"path\":\"/a~1b~0c\",\"value\":\"1\"},"
                 "{\"op\":\"add\",\"path\":\"/\",\"value\":\"2\"}]");
}

static void unusable_values_are_named(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL, 0, NULL);
    json_t *values[] = {json_pack("{s:s, s:[i]}", "ok", "x", "bad", 1),
                        json_pack("{s:{}}", "bad"),
                        json_pack("{s:s}", "min_disk", "ten"),
                        json_pack("{s:s}", "min_ram", ""),
                        json_pack("{s:s}", "min_ram", "99999999999999999999"),
                        json_pack("{s:f}", "min_disk", 1.5)};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        struct error err = ERROR_INIT;
        assert_non_null(values[i]);
        assert_int_equal(
            glance_image_update(fixture.glance, fixture.context, IMAGE_ID, values[i], &err),
            -EINVAL);
        assert_non_null(strstr(err.message, i < 2 ? "'bad'" : "'min_"));
        json_decref(values[i]);
    }
    fixture_finish(&fixture);
}

static void refusals_and_repetitions(void **state)
{
    (void)state;
    const struct http_step steps[] = {
        {.action = HTTP_DROP, .bytes = 10},
        {.status = 503},
        {.reply = "{}"},
        {.status = 403},
        {.status = 413},
        {.status = 409},
        {.status = 500}, /* may have been done: but what was done cannot be told from here */
    };
    struct fixture fixture;
    struct error err = ERROR_INIT;
    fixture_start(&fixture, steps, ARRAY_SIZE(steps), NULL);
    json_t *attributes = json_pack("{s:s}", "disk_format", "raw");
    assert_int_equal(
        glance_image_update(fixture.glance, fixture.context, IMAGE_ID, attributes, &err), 0);
    assert_true(glance_image_update(fixture.glance, fixture.context, IMAGE_ID, attributes, &err) <
                0);
    expect_error(&err, EACCES, EXC_IMAGE_NOT_AUTHORIZED, 403);
    assert_true(glance_image_update(fixture.glance, fixture.context, IMAGE_ID, attributes, &err) <
                0);
    expect_error(&err, EDQUOT, EXC_IMAGE_QUOTA_EXCEEDED, 413);
    assert_true(glance_image_update(fixture.glance, fixture.context, IMAGE_ID, attributes, &err) <
                0);
    expect_error(&err, EBUSY, EXC_GLANCE_HTTP_CONFLICT, 409);
    assert_true(glance_image_update(fixture.glance, fixture.context, IMAGE_ID, attributes, &err) <
                0);
    expect_error(&err, EREMOTEIO, EXC_GLANCE_HTTP_SERVER_ERROR, 500);
    json_decref(attributes);
    fixture_finish(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base_fields_are_replaced_and_properties_added),
        cmocka_unit_test(values_are_pythons_str),
        cmocka_unit_test(a_volume_backed_servers_properties_are_set),
        cmocka_unit_test(what_glance_would_refuse_is_left_out),
        cmocka_unit_test(names_become_json_pointers),
        cmocka_unit_test(unusable_values_are_named),
        cmocka_unit_test(refusals_and_repetitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
