/* SPDX-License-Identifier: Apache-2.0 */
/* agent/notification.c against what nova-compute emitted for the recorded request. */
#include <errno.h>

#include "agent/notification.h"
#include "common/cleanup.h"
#include "fixture.h"

/* The state in which the recorded snapshot.start was sent. */
static void started_instance(struct instance *instance)
{
    fixture_instance(instance);
    json_object_set_new(instance->data, "task_state", json_string("image_snapshot"));
    json_object_set_new(instance->data, "updated_at", json_string("2026-11-22T23:49:39Z"));
}

static void legacy_usage_is_novas(void **state)
{
    (void)state;
    struct instance instance;
    started_instance(&instance);
    json_t *payload = notification_legacy_usage(
        &instance, "http://127.0.0.1:9292/images/95fb5346-0b9e-4c90-83ab-90beb7092306");
    json_t *expected = fixture_load("legacy_start");
    assert_json_equal(payload, expected);
    json_decref(payload);
    json_decref(expected);
    instance_done(&instance);
}

static void snapshot_payload_is_novas(void **state)
{
    (void)state;
    struct instance instance;
    started_instance(&instance);
    struct rpc_request *request = fixture_request();
    const struct snapshot_payload snapshot = {.image_id = FIXTURE_IMAGE};
    json_t *payload = notification_snapshot_payload(&instance, request->context, &snapshot);
    json_t *expected = fixture_load("versioned_start");
    assert_json_equal(payload, expected);
    json_decref(payload);
    json_decref(expected);
    instance_done(&instance);
    rpc_request_free(request);
}

/* nova.notifications.objects.instance of 2025.1. */
static void shares_are_told_by_later_releases(void **state)
{
    (void)state;
    struct instance instance;
    started_instance(&instance);
    struct rpc_request *request = fixture_request();
    struct snapshot_payload snapshot = {.image_id = FIXTURE_IMAGE, .tells_shares = true};
    json_t *payload = notification_snapshot_payload(&instance, request->context, &snapshot);
    json_t *expected = fixture_load("versioned_start");
    json_t *data = json_object_get(expected, "nova_object.data");
    (void)json_object_set_new(expected, "nova_object.version", json_string("1.10"));
    (void)json_object_set_new(data, "shares", json_null());
    assert_json_equal(payload, expected);
    json_decref(payload);

    snapshot.shares = json_pack("[{s:s, s:s, s:s, s:s, s:s}]", "uuid", "u1", "share_id", "s1",
                                "status", "active", "tag", "t1", "export_location", "secret");
    payload = notification_snapshot_payload(&instance, request->context, &snapshot);
    json_t *share =
        json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:s}}", "nova_object.name", "SharePayload",
                  "nova_object.namespace", "nova", "nova_object.version", "1.0", "nova_object.data",
                  "share_mapping_uuid", "u1", "share_id", "s1", "status", "active", "tag", "t1");
    (void)json_object_set_new(data, "shares", json_pack("[o]", share));
    assert_json_equal(payload, expected);
    json_decref(payload);
    json_decref(snapshot.shares);
    json_decref(expected);
    instance_done(&instance);
    rpc_request_free(request);
}

static void fixed_ips_and_volumes_are_listed(void **state)
{
    (void)state;
    struct instance instance;
    started_instance(&instance);
    struct rpc_request *request = fixture_request();
    json_t *cache = json_pack(
        "{s:{s:s}}", "nova_object.data", "network_info",
        "[{\"id\": \"p1\", \"address\": \"fa:16:3e:00:00:01\", \"devname\": \"tap1\", \"meta\": {},"
        " \"network\": {\"label\": \"net\", \"subnets\": [{\"ips\": [{\"address\": \"10.0.0.5\","
        " \"version\": 4}]}]}}]");
    json_object_set_new(instance.data, "info_cache", cache);
    json_t *mappings = json_pack(
        "[{s:s, s:s, s:i, s:b}, {s:n, s:s}]", "volume_id", "v1", "device_name", "/dev/vdb",
        "boot_index", 1, "delete_on_termination", 0, "volume_id", "device_name", "/dev/vda");
    const struct snapshot_payload snapshot = {.image_id = FIXTURE_IMAGE, .block_devices = mappings};
    json_t *payload = notification_snapshot_payload(&instance, request->context, &snapshot);
    const json_t *data = json_object_get(payload, "nova_object.data");
    json_t *ip =
        json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:{}, s:s, s:i, s:s, s:s}}", "nova_object.name",
                  "IpPayload", "nova_object.namespace", "nova", "nova_object.version", "1.0",
                  "nova_object.data", "label", "net", "mac", "fa:16:3e:00:00:01", "meta",
                  "port_uuid", "p1", "version", 4, "address", "10.0.0.5", "device_name", "tap1");
    assert_json_equal(json_array_get(json_object_get(data, "ip_addresses"), 0), ip);
    assert_int_equal(json_array_size(json_object_get(data, "block_devices")), 1);
    json_decref(ip);
    json_decref(mappings);
    json_decref(payload);
    instance_done(&instance);
    rpc_request_free(request);
}

static void nonsense_fields_do_not_crash(void **state)
{
    (void)state;
    struct instance instance;
    fixture_instance(&instance);
    struct rpc_request *request = fixture_request();
    const struct snapshot_payload snapshot = {.image_id = FIXTURE_IMAGE};
    static const char *const fields[] = {"flavor",     "system_metadata", "metadata",
                                         "info_cache", "created_at",      "power_state"};
    static const char *const values[] = {
        "7",
        "null",
        "[]",
        "\"x\"",
        "{\"nova_object.data\": 1}",
        "{}",
        "{\"nova_object.data\": {\"network_info\": \"[1, {\\\"network\\\": []}]\"}}"};
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
            json_object_set_new(instance.data, fields[i],
                                json_loads(values[j], JSON_DECODE_ANY, NULL));
            json_t *legacy = notification_legacy_usage(&instance, "url");
            json_t *versioned =
                notification_snapshot_payload(&instance, request->context, &snapshot);
            assert_non_null(legacy);
            assert_non_null(versioned);
            json_decref(legacy);
            json_decref(versioned);
        }
    }
    instance_done(&instance);
    rpc_request_free(request);
}

static void exceptions_look_like_novas(void **state)
{
    (void)state;
    struct error failure = ERROR_INIT;
    (void)error_set(&failure, ENOTSUP, EXC_QEMU_GUEST_AGENT_NOT_ENABLED,
                    "QEMU guest agent is not enabled");
    json_t *arguments = json_pack("{s:s}", "image_id", FIXTURE_IMAGE);
    json_t *legacy = notification_legacy_exception(&failure, arguments);
    assert_string_equal(json_string_value(json_object_get(legacy, "exception")),
                        "{'kwargs': {'code': 400}, 'message': 'QEMU guest agent is not enabled', "
                        "'class': 'QemuGuestAgentNotEnabled'}");
    json_t *versioned = notification_exception_payload(&failure, "snapshot_instance");
    const json_t *data = json_object_get(versioned, "nova_object.data");
    assert_string_equal(json_string_value(json_object_get(versioned, "nova_object.name")),
                        "ExceptionPayload");
    assert_string_equal(json_string_value(json_object_get(data, "exception")),
                        "QemuGuestAgentNotEnabled");
    json_decref(legacy);
    json_decref(versioned);
    json_decref(arguments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legacy_usage_is_novas),
        cmocka_unit_test(snapshot_payload_is_novas),
        cmocka_unit_test(shares_are_told_by_later_releases),
        cmocka_unit_test(fixed_ips_and_volumes_are_listed),
        cmocka_unit_test(nonsense_fields_do_not_crash),
        cmocka_unit_test(exceptions_look_like_novas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
