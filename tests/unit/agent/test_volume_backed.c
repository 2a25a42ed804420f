/* SPDX-License-Identifier: Apache-2.0 */
/* agent/volume_backed.c, volume_snapshots.c: all volumes or none, and never a guest left frozen. */
#include "agent/volume_backed.h"
#include "world.h"

static void serve(struct rpc_request *request)
{
    snapshot_serve(HANDED_OVER(request, state_dir_record(request)));
}

#define VOLUME_1 "6d8a8e9c-39db-4e4b-aa86-2418e88a3de5"
#define VOLUME_2 "7d8a8e9c-39db-4e4b-aa86-2418e88a3de5"
#define SNAPSHOT_1 "5d8a8e9c-39db-4e4b-aa86-2418e88a3de5"

static json_t *properties; /* of the image the instance was booted from */

static json_t *volume(const char *id, const char *device, int boot_index)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:b}", "source_type", "volume",
                     "destination_type", "volume", "volume_id", id, "device_name", device,
                     "boot_index", boot_index, "volume_size", 10, "no_device", 0,
                     "delete_on_termination", 0);
}

static int setup_volumes(void **state)
{
    (void)setup(state);
    world.mappings =
        json_pack("[o, o, o]", volume(VOLUME_1, "/dev/vda", 0), volume(VOLUME_2, "/dev/vdb", -1),
                  json_pack("{s:s, s:s, s:b}", "source_type", "volume", "destination_type",
                            "volume", "no_device", 1));
    properties = json_object();
    return 0;
}

static int teardown_volumes(void **state)
{
    json_decref(properties);
    return teardown(state);
}

static void snapshot(void)
{
    struct rpc_request *request = fixture_request();
    json_t *data = json_object_get(json_object_get(request->args, "instance"), "nova_object.data");
    (void)json_object_set_new(data, "image_ref", json_string(""));
    (void)json_object_set_new(data, "vm_state", json_string("active"));
    (void)json_object_set_new(data, "root_device_name", json_string("/dev/vda"));
    (void)json_object_set(data, "system_metadata", properties);
    fake_driver_set_script(agent.driver, &script);
    serve(request);
}

static void quiesce(bool required)
{
    (void)json_object_set_new(properties, "image_hw_qemu_guest_agent", json_string("yes"));
    if (required)
        (void)json_object_set_new(properties, "image_os_require_quiesce", json_string("yes"));
}

static void assert_nothing_left(void)
{
    assert_int_equal(world.n_snapshots, 0);
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "");
    assert_non_null(strstr(world.story, "fault event_error"));
}

static const char *attribute(const char *name)
{
    return json_string_value(json_object_get(world.attributes, name));
}

static void makes_a_record_of_snapshots(void **state)
{
    (void)state;
    snapshot();
    assert_string_equal(
        world.story,
        "event_start state:image_snapshot power:1 compute.instance.snapshot.start "
        "instance.snapshot.start state:image_pending_upload state:image_uploading patch activate "
        "state: compute.instance.snapshot.end instance.snapshot.end event_success ");
    assert_int_equal(world.image, ACTIVE);
    assert_int_equal(world.n_snapshots, 2);
    assert_false(world.frozen_at_create);
    assert_string_equal(attribute("disk_format"), "raw");
    assert_string_equal(attribute("container_format"), "bare");
    assert_string_equal(attribute("bdm_v2"), "True");
    assert_string_equal(attribute("root_device_name"), "/dev/vda");
    assert_int_equal(json_object_size(world.attributes), 5);
    json_t *mappings = json_loads(attribute("block_device_mapping"), 0, NULL);
    assert_int_equal(json_array_size(mappings), 2);
    const json_t *first = json_array_get(mappings, 0);
    assert_string_equal(json_string_value(json_object_get(first, "snapshot_id")), SNAPSHOT_1);
    assert_string_equal(json_string_value(json_object_get(first, "device_name")), "/dev/vda");
    json_decref(mappings);
}

static void freezes_around_the_snapshots(void **state)
{
    (void)state;
    struct fake_record record;
    quiesce(true);
    conf.snapshot_agent.image_provenance = true;
    snapshot();
    assert_true(world.frozen_at_create);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(json_string_member(world.attributes, "snapshot_method"),
                        "snapshots of its volumes");
    assert_string_equal(json_string_member(world.attributes, "snapshot_quiesced"), "yes");
    assert_non_null(json_string_member(world.attributes, "snapshot_instant"));
    fake_driver_get_record(agent.driver, &record);
    assert_int_equal(record.calls[FAKE_FREEZE], 1);
    assert_int_equal(record.calls[FAKE_THAW], 1);
}

static void a_guest_that_cannot_be_frozen_is_snapshotted_all_the_same(void **state)
{
    (void)state;
    quiesce(false);
    conf.snapshot_agent.image_provenance = true;
    script.errors[FAKE_FREEZE] = failure(EIO, EXC_INTERNAL_ERROR);
    snapshot();
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(json_string_member(world.attributes, "snapshot_quiesced"),
                        "no: told to fail");
    assert_false(world.frozen_at_create);
}

static void unless_it_must_be(void **state)
{
    (void)state;
    quiesce(true);
    script.errors[FAKE_FREEZE] = failure(EIO, EXC_INTERNAL_ERROR);
    snapshot();
    assert_int_equal(world.n_created, 0);
    assert_nothing_left();
}

static void require_quiesce_without_an_agent_makes_nothing(void **state)
{
    (void)state;
    (void)json_object_set_new(properties, "image_os_require_quiesce", json_string("yes"));
    snapshot();
    assert_int_equal(world.n_created, 0);
    assert_nothing_left();
    assert_non_null(strstr(world.fault, "QEMU guest agent is not enabled"));
}

static void one_that_fails_takes_all_with_it(void **state)
{
    (void)state;
    quiesce(false);
    world.fail_create_at = 2;
    world.fail_create = failure(EDQUOT, EXC_OVER_QUOTA);
    snapshot();
    assert_int_equal(world.n_created, 2);
    assert_nothing_left();
}

/* The answer to its making was lost: it is looked for and deleted too. */
static void one_that_was_not_answered_is_deleted_too(void **state)
{
    (void)state;
    world.fail_create_at = 2;
    world.unanswered_create = true;
    world.fail_create = failure(ETIMEDOUT, EXC_CINDER_CONNECTION_FAILED);
    snapshot();
    assert_int_equal(world.n_created, 2);
    assert_nothing_left();
}

static void a_snapshot_in_error_takes_all_with_it(void **state)
{
    (void)state;
    world.snapshot_status = "error";
    snapshot();
    assert_nothing_left();
    assert_non_null(strstr(world.fault, "is error"));
}

static void each_later_failure_deletes_the_snapshots(void **state)
{
    for (int step = 0; step < 3; step++) {
        (void)teardown_volumes(state);
        (void)setup_volumes(state);
        if (step == 0)
            world.fail_update = failure(EIO, EXC_INTERNAL_ERROR);
        if (step == 1)
            world.fail_activate = failure(EIO, EXC_INTERNAL_ERROR);
        if (step == 2) {
            world.when_saving = "image_uploading";
            world.state_before_save = "deleting";
        }
        snapshot();
        assert_int_equal(world.n_created, 2);
        assert_int_equal(world.n_snapshots, 0);
        assert_int_equal(world.image, DELETED);
    }
}

static void quotas_are_asked_before_anything_is_made(void **state)
{
    static const struct cinder_limits exceeded[] = {{10, 9, -1, 0}, {-1, 0, 1000, 981}};
    for (size_t i = 0; i < ARRAY_SIZE(exceeded); i++) {
        (void)teardown_volumes(state);
        (void)setup_volumes(state);
        world.limits = exceeded[i];
        snapshot();
        assert_int_equal(world.n_created, 0);
        assert_nothing_left();
        assert_non_null(strstr(world.fault, "Quota exceeded"));
    }
    (void)teardown_volumes(state);
    (void)setup_volumes(state);
    world.limits = (struct cinder_limits){10, 8, 1000, 980};
    snapshot();
    assert_int_equal(world.image, ACTIVE);
}

static void limits_that_cannot_be_read_stop_nothing(void **state)
{
    (void)state;
    world.fail_limits = failure(EIO, EXC_INTERNAL_ERROR);
    snapshot();
    assert_int_equal(world.image, ACTIVE);
}

static void a_volume_in_error_is_named_before_anything_is_made(void **state)
{
    (void)state;
    world.volume_status = "error";
    snapshot();
    assert_int_equal(world.n_created, 0);
    assert_nothing_left();
    assert_non_null(strstr(world.fault, VOLUME_1 " is error"));
}

static void an_instance_without_volumes_is_refused(void **state)
{
    (void)state;
    (void)json_array_clear(world.mappings);
    snapshot();
    assert_nothing_left();
}

static void mappings_not_understood_are_refused(void **state)
{
    (void)state;
    (void)json_array_append_new(world.mappings, json_pack("{s:i}", "source_type", 7));
    snapshot();
    assert_int_equal(world.n_created, 0);
    assert_nothing_left();
}

static void mappings_of_another_version_are_refused(void **state)
{
    (void)state;
    world.mappings_version = "2.0";
    snapshot();
    assert_int_equal(world.n_created, 0);
    assert_nothing_left();
    assert_non_null(strstr(world.fault, "version '2.0'"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_volumes, teardown_volumes)
    const struct CMUnitTest tests[] = {
        TEST(makes_a_record_of_snapshots),
        TEST(freezes_around_the_snapshots),
        TEST(a_guest_that_cannot_be_frozen_is_snapshotted_all_the_same),
        TEST(unless_it_must_be),
        TEST(require_quiesce_without_an_agent_makes_nothing),
        TEST(one_that_fails_takes_all_with_it),
        TEST(one_that_was_not_answered_is_deleted_too),
        TEST(a_snapshot_in_error_takes_all_with_it),
        TEST(each_later_failure_deletes_the_snapshots),
        TEST(quotas_are_asked_before_anything_is_made),
        TEST(limits_that_cannot_be_read_stop_nothing),
        TEST(a_volume_in_error_is_named_before_anything_is_made),
        TEST(an_instance_without_volumes_is_refused),
        TEST(mappings_not_understood_are_refused),
        TEST(mappings_of_another_version_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
