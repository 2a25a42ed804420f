/* SPDX-License-Identifier: Apache-2.0 */
/* agent/instance.c */
#include <errno.h>

#include "fixture.h"

static void reads_the_recorded_instance(void **state)
{
    (void)state;
    struct instance instance;
    fixture_instance(&instance);
    assert_string_equal(instance.uuid, FIXTURE_INSTANCE);
    assert_string_equal(instance_string(&instance, "host"), "cmp1");
    assert_null(instance_string(&instance, "key_name"));
    assert_null(instance_string(&instance, "no_such_field"));
    assert_string_equal(instance_image_property(&instance, "disk_format"), "qcow2");
    assert_null(instance_image_property(&instance, "hw_qemu_guest_agent"));
    instance_done(&instance);
}

static void flags_are_flexible_booleans(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool flag;
    } rows[] = {{"yes", true}, {"True", true},  {"1", true},     {"ON", true},
                {"t", true},   {"y", true},     {"no", false},   {"", false},
                {"2", false},  {"yess", false}, {"false", false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct instance instance;
        fixture_instance(&instance);
        json_t *meta = json_pack("{s:s}", "image_os_require_quiesce", rows[i].value);
        json_object_set_new(instance.data, "system_metadata", meta);
        assert_int_equal(instance_image_flag(&instance, "os_require_quiesce"), rows[i].flag);
        instance_done(&instance);
    }
}

static void merge_takes_fields_and_keeps_the_uuid(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct instance instance;
    fixture_instance(&instance);
    json_t *updates = json_pack("{s:s, s:s, s:[]}", "uuid", "other", "task_state", "deleting",
                                "obj_what_changed");
    assert_int_equal(instance_merge(&instance, updates, &err), 0);
    json_decref(updates);
    assert_string_equal(instance_string(&instance, "task_state"), "deleting");
    assert_string_equal(instance_string(&instance, "uuid"), FIXTURE_INSTANCE);
    assert_null(json_object_get(instance.data, "obj_what_changed"));
    instance_done(&instance);
}

static void refuses_what_is_no_instance(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int r;
    } rows[] = {
        {"null", -EPROTONOSUPPORT},
        {"[]", -EPROTONOSUPPORT},
        {"{}", -EPROTONOSUPPORT},
        {"{\"nova_object.name\": 7}", -EPROTONOSUPPORT},
        {"{\"nova_object.name\": \"Flavor\", \"nova_object.version\": \"2.7\"}", -EPROTONOSUPPORT},
        {"{\"nova_object.name\": \"Instance\", \"nova_object.version\": \"3.0\"}",
         -EPROTONOSUPPORT},
        {"{\"nova_object.name\": \"Instance\"}", -EPROTONOSUPPORT},
        {"{\"nova_object.name\": \"Instance\", \"nova_object.version\": \"2.7\"}", -EINVAL},
        {"{\"nova_object.name\": \"Instance\", \"nova_object.version\": \"2.7\","
         " \"nova_object.data\": []}",
         -EINVAL},
        {"{\"nova_object.name\": \"Instance\", \"nova_object.version\": \"2.7\","
         " \"nova_object.data\": {\"uuid\": \"../../etc\"}}",
         -EINVAL},
        {"{\"nova_object.name\": \"Instance\", \"nova_object.version\": \"2.7\","
         " \"nova_object.data\": {\"uuid\": null}}",
         -EINVAL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        struct instance instance = {.data = NULL};
        json_t *primitive = json_loads(rows[i].text, JSON_DECODE_ANY, NULL);
        assert_non_null(primitive);
        assert_int_equal(instance_from_primitive(primitive, &instance, &err), rows[i].r);
        assert_null(instance.data);
        assert_string_not_equal(err.message, "");
        json_decref(primitive);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_recorded_instance),
        cmocka_unit_test(flags_are_flexible_booleans),
        cmocka_unit_test(merge_takes_fields_and_keeps_the_uuid),
        cmocka_unit_test(refuses_what_is_no_instance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
