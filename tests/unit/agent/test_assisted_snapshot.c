/* SPDX-License-Identifier: Apache-2.0 */
/* agent/assisted_snapshot.c: Cinder is told the outcome, whatever it is. */
#include "agent/assisted_snapshot.h"
#include "world.h"

#define VOLUME "223d2b54-3bfe-4781-af2b-76e3fdf957b1"
#define SNAPSHOT "16fab726-8b6d-46a2-90b4-af0d3a5a44f7"
#define NEW_FILE "volume-" VOLUME "." SNAPSHOT

static int setup_mapping(void **state)
{
    (void)setup(state);
    world.mappings = json_pack(
        "[{s:s, s:s, s:s}]", "volume_id", VOLUME, "attachment_id",
        "c3e4d845-c1d6-4738-b306-6d48726104df", "connection_info",
        "{\"multiattach\": true, \"data\": {\"name\": \"old\", \"multipath_id\": \"m\"}}");
    return 0;
}

static struct rpc_request *request_of(const char *method, const char *info)
{
    struct rpc_request *request = fixture_request();
    bool creates = strcmp(method, "volume_snapshot_create") == 0;
    free(request->method);
    request->method = strdup(method);
    (void)json_object_del(request->args, "image_id");
    (void)json_object_set_new(request->args, "volume_id", json_string(VOLUME));
    (void)json_object_set_new(request->args, creates ? "create_info" : "delete_info",
                              json_loads(info, JSON_DECODE_ANY, NULL));
    if (!creates)
        (void)json_object_set_new(request->args, "snapshot_id", json_string(SNAPSHOT));
    fake_driver_set_script(agent.driver, &script);
    return request;
}

#define CREATE_INFO                                                                                \
    "{\"type\": \"qcow2\", \"new_file\": \"" NEW_FILE "\", \"snapshot_id\": \"" SNAPSHOT "\"}"

static void create(const char *info)
{
    struct rpc_request *request = request_of("volume_snapshot_create", info);
    assisted_snapshot_create_serve(HANDED_OVER(request, state_dir_record(request)));
}

static void delete_layer(const char *info)
{
    struct rpc_request *request = request_of("volume_snapshot_delete", info);
    assisted_snapshot_delete_serve(HANDED_OVER(request, state_dir_record(request)));
}

static struct fake_record record(void)
{
    struct fake_record record;
    fake_driver_get_record(agent.driver, &record);
    return record;
}

static void adds_a_layer(void **state)
{
    (void)state;
    create(CREATE_INFO);
    assert_string_equal(world.statuses, "creating ");
    assert_string_equal(record().volume_id, VOLUME);
    assert_string_equal(record().file, NEW_FILE);
    assert_false(record().quiesce);
    assert_string_equal(world.story, "connection_info ");
}

/* Cinder's answer, with what only nova knows kept and the format of the new layer. */
static void refreshes_the_connection_info(void **state)
{
    (void)state;
    create(CREATE_INFO);
    json_t *expected = json_pack("{s:{s:s, s:s, s:s}, s:b, s:s}", "data", "name", "v.new", "format",
                                 "qcow2", "multipath_id", "m", "multiattach", 1, "serial", VOLUME);
    assert_json_equal(world.connection_info, expected);
    json_decref(expected);
}

static void takes_a_layer_out(void **state)
{
    (void)state;
    delete_layer("{\"type\": \"qcow2\", \"file_to_merge\": \"a\", \"merge_target_file\": \"b\"}");
    assert_string_equal(world.statuses, "deleting ");
    assert_string_equal(record().file, "a");
    assert_string_equal(record().target, "b");
    assert_string_equal(world.story, "connection_info ");
    delete_layer("{\"type\": \"qcow2\", \"file_to_merge\": null, \"merge_target_file\": null}");
    assert_string_equal(record().file, "");
    assert_string_equal(record().target, "");
}

static void a_failure_is_told_and_nothing_refreshed(void **state)
{
    (void)state;
    script.errors[FAKE_VOLUME_SNAPSHOT_CREATE] = failure(EIO, EXC_INTERNAL_ERROR);
    script.errors[FAKE_VOLUME_SNAPSHOT_DELETE] = failure(EIO, EXC_INTERNAL_ERROR);
    create(CREATE_INFO);
    assert_string_equal(world.statuses, "error ");
    assert_string_equal(world.story, "volume_snapshot_create compute.exception ");
    delete_layer("{\"type\": \"qcow2\"}");
    assert_string_equal(world.statuses, "error error_deleting ");
}

/* Nova leaves Cinder waiting for ten minutes here. */
static void a_missing_guest_is_told_quietly(void **state)
{
    (void)state;
    script.errors[FAKE_VOLUME_SNAPSHOT_CREATE] = failure(ENOENT, EXC_INSTANCE_NOT_RUNNING);
    create(CREATE_INFO);
    assert_string_equal(world.statuses, "error ");
    assert_string_equal(world.story, "");
}

static void malformed_requests_are_told(void **state)
{
    (void)state;
    static const char *const creations[] = {
        "{\"snapshot_id\": \"" SNAPSHOT "\"}",
        "{\"snapshot_id\": \"" SNAPSHOT "\", \"type\": \"raw\", \"new_file\": \"f\"}",
        "{\"snapshot_id\": \"" SNAPSHOT "\", \"type\": \"qcow2\"}",
        "{\"snapshot_id\": \"" SNAPSHOT "\", \"type\": \"qcow2\", \"new_file\": 7}",
    };
    static const char *const deletions[] = {"null",
                                            "[]",
                                            "{}",
                                            "{\"type\": \"raw\"}",
                                            "{\"type\": \"qcow2\", \"file_to_merge\": 7}",
                                            "{\"type\": \"qcow2\", \"merge_target_file\": []}"};
    for (size_t i = 0; i < ARRAY_SIZE(creations); i++) {
        world.statuses[0] = '\0';
        create(creations[i]);
        assert_string_equal(world.statuses, "error ");
    }
    for (size_t i = 0; i < ARRAY_SIZE(deletions); i++) {
        world.statuses[0] = '\0';
        delete_layer(deletions[i]);
        assert_string_equal(world.statuses, "error_deleting ");
    }
    assert_int_equal(record().calls[FAKE_VOLUME_SNAPSHOT_CREATE], 0);
    assert_int_equal(record().calls[FAKE_VOLUME_SNAPSHOT_DELETE], 0);
}

static void a_malformed_instance_is_told(void **state)
{
    (void)state;
    struct rpc_request *request = request_of("volume_snapshot_create", CREATE_INFO);
    (void)json_object_set_new(request->args, "instance", json_integer(7));
    assisted_snapshot_create_serve(HANDED_OVER(request, state_dir_record(request)));
    assert_string_equal(world.statuses, "error ");
}

static void only_requests_that_name_their_snapshot_are_taken(void **state)
{
    (void)state;
    static const struct {
        const char *info;
        int result;
    } rows[] = {
        {CREATE_INFO, 0},  {"{\"snapshot_id\": \"" SNAPSHOT "\"}", 0},
        {"{}", -EINVAL},   {"{\"snapshot_id\": \"../x\"}", -EINVAL},
        {"null", -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct error err = ERROR_INIT;
        struct rpc_request *request = request_of("volume_snapshot_create", rows[i].info);
        assert_int_equal(assisted_snapshot_check(request, &err), rows[i].result);
        rpc_request_free(request);
    }
}

static void troubles_with_cinder_end_in_the_log(void **state)
{
    (void)state;
    world.fail_status = failure(EIO, EXC_INTERNAL_ERROR);
    world.fail_attachment = failure(EIO, EXC_INTERNAL_ERROR);
    create(CREATE_INFO);
    assert_string_equal(world.statuses, "creating ");
    assert_string_equal(world.story, "");
    assert_null(world.connection_info);
}

static struct rpc_request *quiescing_request(void)
{
    struct rpc_request *request = request_of("volume_snapshot_create", CREATE_INFO);
    json_t *data = json_object_get(json_object_get(request->args, "instance"), "nova_object.data");
    (void)json_object_set_new(data, "system_metadata",
                              json_pack("{s:s, s:s}", "image_hw_qemu_guest_agent", "yes",
                                        "image_os_require_quiesce", "yes"));
    return request;
}

static void asks_for_the_freeze_the_image_wants(void **state)
{
    (void)state;
    struct rpc_request *request = quiescing_request();
    assisted_snapshot_create_serve(HANDED_OVER(request, state_dir_record(request)));
    assert_true(record().quiesce);
    assert_true(record().require_quiesce);
}

static void count_frozen(void *arg, const char *uuid, bool by_us)
{
    assert_string_equal(uuid, FIXTURE_INSTANCE);
    assert_true(by_us);
    (*(unsigned *)arg)++;
}

/* By quiesce_instance, for snapshots of all volumes: its freeze and the note of it stay. */
static void leaves_a_frozen_guest_frozen(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    unsigned frozen = 0;
    struct rpc_request *request = quiescing_request();
    assert_int_equal(freezer_freeze(agent.freezer, FIXTURE_INSTANCE, &err), 0);
    assisted_snapshot_create_serve(HANDED_OVER(request, state_dir_record(request)));
    assert_false(record().quiesce);
    assert_false(record().require_quiesce);
    assert_true(freezer_holds(agent.freezer, FIXTURE_INSTANCE));
    assert_int_equal(freeze_ledger_visit(agent.freeze_ledger, count_frozen, &frozen, &err), 0);
    assert_int_equal(frozen, 1);
    assert_int_equal(freezer_thaw(agent.freezer, FIXTURE_INSTANCE, &err), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_mapping, teardown)
    const struct CMUnitTest tests[] = {
        TEST(adds_a_layer),
        TEST(refreshes_the_connection_info),
        TEST(takes_a_layer_out),
        TEST(a_failure_is_told_and_nothing_refreshed),
        TEST(a_missing_guest_is_told_quietly),
        TEST(malformed_requests_are_told),
        TEST(a_malformed_instance_is_told),
        TEST(only_requests_that_name_their_snapshot_are_taken),
        TEST(troubles_with_cinder_end_in_the_log),
        TEST(asks_for_the_freeze_the_image_wants),
        TEST(leaves_a_frozen_guest_frozen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
