/* SPDX-License-Identifier: Apache-2.0 */
/* agent/block_device.c: mappings of an image, as nova.block_device makes them. */
#include "agent/block_device.h"
#include "fixture.h"

#define VOLUME "6d8a8e9c-39db-4e4b-aa86-2418e88a3de5"
#define SNAPSHOT "16fab726-8b6d-46a2-90b4-af0d3a5a44f7"

static json_t *parse(const char *text)
{
    json_error_t json_error;
    json_t *value = json_loads(text, 0, &json_error);
    if (!value)
        fail_msg("%s: %s", text, json_error.text);
    return value;
}

/* What the database holds of a boot volume. */
static json_t *boot_volume(void)
{
    return parse("{\"id\": 18, \"uuid\": \"b86bfc9a\", \"instance_uuid\": \"0b0b33bd\","
                 "\"source_type\": \"image\", \"destination_type\": \"volume\","
                 "\"guest_format\": null, \"device_type\": \"disk\", \"disk_bus\": \"virtio\","
                 "\"boot_index\": 0, \"device_name\": \"/dev/vda\","
                 "\"delete_on_termination\": true, \"snapshot_id\": null, \"volume_id\": \"" VOLUME
                 "\", \"volume_size\": 1, \"image_id\": \"95fb5346\", \"no_device\": false,"
                 "\"connection_info\": \"{}\", \"tag\": \"t\", \"attachment_id\": \"c3e4d845\","
                 "\"volume_type\": \"ceph\", \"encrypted\": false,"
                 "\"encryption_secret_uuid\": null, \"encryption_format\": null,"
                 "\"encryption_options\": null, \"created_at\": null, \"deleted\": false}");
}

/* Printed by nova.block_device.snapshot_from_bdm(SNAPSHOT, mapping).get_image_mapping() of Zed. */
static void restores_a_volume_from_its_snapshot(void **state)
{
    (void)state;
    json_t *mapping = boot_volume();
    json_t *made = block_device_from_snapshot(SNAPSHOT, mapping);
    json_t *expected =
        parse("{\"boot_index\": 0, \"delete_on_termination\": true, \"destination_type\": "
              "\"volume\", \"device_name\": \"/dev/vda\", \"device_type\": \"disk\","
              "\"disk_bus\": \"virtio\", \"encrypted\": null, \"encryption_format\": null,"
              "\"encryption_options\": null, \"encryption_secret_uuid\": null,"
              "\"guest_format\": null, \"image_id\": null, \"no_device\": null,"
              "\"snapshot_id\": \"" SNAPSHOT "\", \"source_type\": \"snapshot\", \"tag\": null,"
              "\"volume_id\": null, \"volume_size\": 1, \"volume_type\": null}");
    assert_json_equal(made, expected);
    json_decref(expected);
    json_decref(made);
    json_decref(mapping);
}

static void keeps_other_devices_without_what_is_the_instances(void **state)
{
    (void)state;
    json_t *mapping = parse("{\"id\": 3, \"uuid\": \"x\", \"instance_uuid\": \"y\","
                            "\"source_type\": \"blank\", \"destination_type\": \"local\","
                            "\"guest_format\": \"swap\", \"device_type\": \"disk\","
                            "\"boot_index\": -1, \"volume_size\": 1, \"device_name\": \"/dev/vdb\","
                            "\"delete_on_termination\": true, \"connection_info\": \"{}\","
                            "\"attachment_id\": null, \"deleted\": false}");
    json_t *made = block_device_for_image(mapping);
    assert_int_equal(json_object_size(made), 19);
    assert_string_equal(json_string_value(json_object_get(made, "guest_format")), "swap");
    assert_int_equal(json_integer_value(json_object_get(made, "boot_index")), -1);
    assert_null(json_object_get(made, "connection_info"));
    assert_null(json_object_get(made, "instance_uuid"));
    json_decref(made);
    json_decref(mapping);
}

static void tells_volumes_from_other_devices(void **state)
{
    (void)state;
    json_t *mapping = boot_volume();
    assert_string_equal(block_device_volume_id(mapping), VOLUME);
    assert_true(block_device_is_present(mapping));
    (void)json_object_set_new(mapping, "no_device", json_true());
    assert_false(block_device_is_present(mapping));
    (void)json_object_set_new(mapping, "destination_type", json_string("local"));
    assert_null(block_device_volume_id(mapping));
    json_decref(mapping);
}

static void refuses_what_it_does_not_understand(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[7]",
        "[null]",
        "[{}]",
        "[{\"source_type\": 3}]",
        "[{\"source_type\": \"volume\", \"destination_type\": \"volume\"}]",
        "[{\"source_type\": \"volume\", \"destination_type\": \"volume\", \"volume_id\": null}]",
        ("[{\"source_type\": \"volume\", \"destination_type\": \"volume\","
         "\"volume_id\": \"../../etc\"}]"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = ERROR_INIT;
        json_t *mappings = parse(bad[i]);
        assert_true(block_devices_check(mappings, &err) < 0);
        assert_true(err.message[0] != '\0');
        json_decref(mappings);
    }
    struct error err = ERROR_INIT;
    json_t *good = parse("[{\"source_type\": \"blank\", \"destination_type\": \"local\"},"
                         "{\"source_type\": \"volume\", \"destination_type\": \"volume\","
                         "\"no_device\": true}]");
    assert_int_equal(block_devices_check(good, &err), 0);
    json_decref(good);
}

static void refuses_too_many(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    json_t *mappings = json_array();
    for (int i = 0; i < 257; i++)
        (void)json_array_append_new(mappings, boot_volume());
    assert_true(block_devices_check(mappings, &err) < 0);
    (void)json_array_remove(mappings, 0);
    assert_int_equal(block_devices_check(mappings, &err), 0);
    json_decref(mappings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restores_a_volume_from_its_snapshot),
        cmocka_unit_test(keeps_other_devices_without_what_is_the_instances),
        cmocka_unit_test(tells_volumes_from_other_devices),
        cmocka_unit_test(refuses_what_it_does_not_understand),
        cmocka_unit_test(refuses_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
