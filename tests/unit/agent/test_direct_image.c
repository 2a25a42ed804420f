/* SPDX-License-Identifier: Apache-2.0 */
/* agent/direct_image.c: an image that stays in the Ceph cluster, and the ways back. */
#include "agent/direct_image.h"
#include <unistd.h>

#include "agent/release.h"
#include "world.h"

static bool posts; /* what the nova-compute at hand does */

bool __wrap_release_has(const struct release *release, const struct instance *instance,
                        enum release_habit habit);

bool __wrap_release_has(const struct release *release, const struct instance *instance,
                        enum release_habit habit)
{
    (void)release, (void)instance;
    return habit == RELEASE_POSTS_LOCATION && posts;
}

static void serve(struct rpc_request *request)
{
    snapshot_serve(HANDED_OVER(request, state_dir_record(request)));
}

#define LOCATION "rbd://fsid/images/" FIXTURE_IMAGE "/snap"

static int setup_rbd(void **state)
{
    (void)setup(state);
    posts = false;
    script.info = (struct guest_info){.power_state = POWER_STATE_RUNNING,
                                      .connection_is_qemu = true,
                                      .source_type = DISK_SOURCE_RBD,
                                      .disk_path = "rbd:vms/disk",
                                      .disk_format = "raw"};
    script.location = LOCATION;
    return 0;
}

static void snapshot(void)
{
    fake_driver_set_script(agent.driver, &script);
    struct rpc_request *request = fixture_request();
    json_t *data = json_object_get(json_object_get(request->args, "instance"), "nova_object.data");
    (void)json_object_set_new(data, "image_ref", json_string(FIXTURE_IMAGE));
    serve(request);
}

static const char *method_note(void)
{
    return json_string_value(json_object_get(world.attributes, "snapshot_method"));
}

static struct fake_record record(void)
{
    struct fake_record record;
    fake_driver_get_record(agent.driver, &record);
    return record;
}

static void hands_glance_a_location(void **state)
{
    (void)state;
    static char qcow2[] = "qcow2";
    conf.libvirt.snapshot_image_format = qcow2; /* the data is raw all the same */
    snapshot();
    assert_string_equal(
        world.story,
        "event_start state:image_snapshot power:1 compute.instance.snapshot.start "
        "instance.snapshot.start state:image_pending_upload state:image_uploading patch "
        "location:" LOCATION
        " state: compute.instance.snapshot.end instance.snapshot.end event_success ");
    assert_string_equal(json_string_value(json_object_get(world.attributes, "disk_format")), "raw");
    assert_int_equal(world.image, ACTIVE);
    assert_int_equal(record().calls[FAKE_EXTRACT], 0);
    assert_string_equal(record().undone_location, "");
}

static void hands_it_over_as_its_release_would(void **state)
{
    (void)state;
    posts = true;
    snapshot();
    assert_non_null(strstr(world.story, " patch location_post:" LOCATION " state: "));
    assert_int_equal(world.image, ACTIVE);
}

static void extracts_when_the_cluster_is_another(void **state)
{
    (void)state;
    script.errors[FAKE_DIRECT_SNAPSHOT] = failure(EINVAL, EXC_IMAGE_UNACCEPTABLE);
    snapshot();
    assert_int_equal(world.image, ACTIVE);
    assert_int_equal(record().calls[FAKE_EXTRACT], 1);
    assert_string_equal(record().undone_location, "");
    assert_non_null(
        strstr(world.story, "state:image_pending_upload state:image_uploading patch put"));
}

/* What was planned, should the cluster be another, is not what was done. */
static void the_record_names_what_was_done(void **state)
{
    static char stream[] = "stream";
    (void)state;
    conf.snapshot_agent.live_snapshot_method = stream;
    conf.snapshot_agent.image_provenance = true;
    take_options();
    snapshot();
    assert_string_equal(method_note(), "direct, not stream: the root disk is on RBD");
    assert_int_equal(teardown(state), 0);
    assert_int_equal(setup_rbd(state), 0);
    conf.snapshot_agent.live_snapshot_method = stream;
    conf.snapshot_agent.image_provenance = true;
    take_options();
    world.fail_location = failure(EACCES, EXC_IMAGE_NOT_AUTHORIZED);
    snapshot();
    assert_string_equal(method_note(), "cold, not stream: the root disk is on RBD");
}

/* Nor does the log say so before it is. */
static void the_log_tells_what_was_done(void **state)
{
    char text[8192];
    FILE *kept = tmpfile();
    int saved_stderr = dup(STDERR_FILENO);
    (void)state;
    assert_non_null(kept);
    assert_true(dup2(fileno(kept), STDERR_FILENO) >= 0);
    snapshot();
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    (void)close(saved_stderr);
    assert_true(fseek(kept, 0, SEEK_SET) == 0);
    text[fread(text, 1, sizeof(text) - 1, kept)] = '\0';
    (void)fclose(kept);
    assert_non_null(strstr(text, "Snapshot taken within the cluster: " LOCATION));
    assert_null(strstr(text, "Beginning cold snapshot process"));
    assert_null(strstr(text, "by cold"));
}

/* Nova fails here, with the clone deleted. */
static void extracts_when_glance_takes_no_location(void **state)
{
    (void)state;
    world.fail_location = failure(EACCES, EXC_IMAGE_NOT_AUTHORIZED);
    snapshot();
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(record().undone_location, LOCATION);
    assert_non_null(strstr(world.story, "state:image_uploading patch location:" LOCATION
                                        " state:image_pending_upload state:image_uploading patch "
                                        "put:5"));
}

/* Which another way would hide, and which would be in Glance's. */
static void what_is_left_in_the_cluster_is_removed_at_the_end(void **state)
{
    (void)state;
    world.fail_location = failure(EACCES, EXC_IMAGE_NOT_AUTHORIZED);
    script.errors[FAKE_UNDO_DIRECT_SNAPSHOT] = failure(EBUSY, EXC_INTERNAL_ERROR);
    script.entries = json_pack("[{s:s}]", "step", "begin");
    snapshot();
    assert_int_equal(record().calls[FAKE_UNDO_DIRECT_SNAPSHOT], 1);
    assert_int_equal(record().calls[FAKE_EXTRACT], 0);
    assert_int_equal(record().calls[FAKE_RECOVER], 1);
    assert_int_equal(record().recovered_entries, 1);
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "");
    json_decref((json_t *)(uintptr_t)script.entries);
}

/* The copy would meet the same refusal, after the guest was suspended for it. */
static void a_refused_record_is_not_extracted_for(void **state)
{
    (void)state;
    world.fail_update = failure(EACCES, EXC_IMAGE_NOT_AUTHORIZED);
    snapshot();
    assert_int_equal(record().calls[FAKE_EXTRACT], 0);
    assert_string_equal(record().undone_location, LOCATION);
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "");
}

static void other_failures_leave_nothing(void **state)
{
    (void)state;
    world.fail_location = failure(EIO, EXC_INTERNAL_ERROR);
    snapshot();
    assert_int_equal(world.image, DELETED);
    assert_string_equal(record().undone_location, LOCATION);
    assert_string_equal(world.task_state, "");
    (void)teardown(state);
    (void)setup_rbd(state);
    script.errors[FAKE_DIRECT_SNAPSHOT] = failure(EIO, EXC_INTERNAL_ERROR);
    snapshot();
    assert_int_equal(world.image, DELETED);
    assert_int_equal(record().calls[FAKE_EXTRACT], 0);
}

static void a_deleted_instance_leaves_nothing(void **state)
{
    (void)state;
    world.when_saving = "image_uploading";
    world.state_before_save = "deleting";
    snapshot();
    assert_string_equal(record().undone_location, LOCATION);
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "deleting");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_rbd, teardown)
    const struct CMUnitTest tests[] = {
        TEST(hands_glance_a_location),
        TEST(hands_it_over_as_its_release_would),
        TEST(the_record_names_what_was_done),
        TEST(the_log_tells_what_was_done),
        TEST(extracts_when_the_cluster_is_another),
        TEST(extracts_when_glance_takes_no_location),
        TEST(what_is_left_in_the_cluster_is_removed_at_the_end),
        TEST(a_refused_record_is_not_extracted_for),
        TEST(other_failures_leave_nothing),
        TEST(a_deleted_instance_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
