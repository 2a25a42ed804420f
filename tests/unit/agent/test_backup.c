/* SPDX-License-Identifier: Apache-2.0 */
/* agent/backup.c: what a backup is and which old ones go. */
#include "agent/backup.h"
#include "world.h"

static void serve(struct rpc_request *request)
{
    snapshot_serve(HANDED_OVER(request, state_dir_record(request)));
}

#define PROJECT "724d89e14f564a118d7fbd7fc5b4565b"

#define ADMINS_PROJECT "0f2c1c39e34c4a5a8a9a63b4d6fe3d10"

static void back_up_as(unsigned rotation, const char *project)
{
    struct rpc_request *request = fixture_request();
    struct request_context *context = NULL;
    struct error err = ERROR_INIT;
    (void)json_object_set_new(request->context->values, "project_id", json_string(project));
    assert_int_equal(request_context_from_values(request->context->values, &context, &err), 0);
    request_context_free(request->context);
    request->context = context;
    free(request->method);
    request->method = strdup("backup_instance");
    (void)json_object_set_new(request->args, "backup_type", json_string("daily"));
    (void)json_object_set_new(request->args, "rotation", json_integer(rotation));
    (void)strcpy(world.task_state, "image_backup");
    fake_driver_set_script(agent.driver, &script);
    serve(request);
}

static void back_up(unsigned rotation)
{
    back_up_as(rotation, PROJECT);
}

static void add_record(const char *id, const char *key, const char *value)
{
    if (!world.records)
        world.records = json_array();
    json_t *record =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "id", id, "image_type", "backup", "backup_type",
                  "daily", "instance_uuid", FIXTURE_INSTANCE, "owner", PROJECT, "status", "active");
    if (key)
        (void)json_object_set_new(record, key, value ? json_string(value) : json_null());
    (void)json_array_append_new(world.records, record);
}

static void tells_novas_story(void **state)
{
    (void)state;
    add_record(FIXTURE_IMAGE, NULL, NULL);
    back_up(1);
    assert_string_equal(
        world.story,
        "event_start power:1 compute.instance.snapshot.start instance.snapshot.start "
        "state:image_pending_upload state:image_uploading patch put:5 "
        "state: compute.instance.snapshot.end instance.snapshot.end list event_success ");
    assert_string_equal(world.deleted, "");
}

static void the_oldest_go_first(void **state)
{
    (void)state;
    add_record(FIXTURE_IMAGE, NULL, NULL);
    add_record("new", NULL, NULL);
    add_record("old", NULL, NULL);
    add_record("oldest", NULL, NULL);
    back_up(2);
    assert_string_equal(world.deleted, "oldest old ");
    assert_non_null(strstr(world.story, "event_success"));
}

static void rotation_0_keeps_none(void **state)
{
    (void)state;
    add_record(FIXTURE_IMAGE, NULL, NULL);
    add_record("old", NULL, NULL);
    back_up(0);
    assert_string_equal(world.deleted, "old " FIXTURE_IMAGE " ");
}

/* Whatever the list shows: only active images of this instance, type and project are touched. */
static void foreign_images_neither_count_nor_go(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
    } foreign[] = {
        {"image_type", "snapshot"}, {"backup_type", "weekly"}, {"instance_uuid", FIXTURE_IMAGE},
        {"owner", "somebody"},      {"owner", NULL},           {"status", "saving"},
        {"instance_uuid", NULL},
    };
    add_record(FIXTURE_IMAGE, NULL, NULL);
    add_record("second", NULL, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
        add_record("foreign", foreign[i].key, foreign[i].value);
    back_up(1);
    assert_string_equal(world.deleted, "second ");
}

/* nova-api gives the image to whoever asks for it: an administrator's backups are the server's. */
static void those_of_whoever_asks_count_and_go(void **state)
{
    (void)state;
    add_record(FIXTURE_IMAGE, "owner", ADMINS_PROJECT);
    add_record("admins", "owner", ADMINS_PROJECT);
    add_record("tenants", NULL, NULL);
    add_record("foreign", "owner", "somebody");
    add_record("oldest", "owner", ADMINS_PROJECT);
    back_up_as(2, ADMINS_PROJECT);
    assert_string_equal(world.deleted, "oldest tenants ");
}

static void nobody_owns_what_has_no_owner(void **state)
{
    (void)state;
    add_record(FIXTURE_IMAGE, NULL, NULL);
    add_record("second", NULL, NULL);
    add_record("foreign", "owner", "");
    back_up_as(1, "");
    assert_string_equal(world.deleted, "second ");
}

static void a_failed_backup_rotates_nothing(void **state)
{
    (void)state;
    add_record("old", NULL, NULL);
    world.fail_upload = failure(EIO, EXC_INTERNAL_ERROR);
    back_up(0);
    assert_string_equal(world.deleted, FIXTURE_IMAGE " ");
    assert_null(strstr(world.story, "list"));
    assert_string_equal(world.task_state, "");
    assert_non_null(strstr(world.story, "event_error backup_instance"));
}

static void a_list_that_fails_is_told_and_the_backup_kept(void **state)
{
    (void)state;
    world.fail_list = failure(EACCES, EXC_IMAGE_NOT_AUTHORIZED);
    back_up(1);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
    assert_non_null(strstr(world.fault, "told to fail"));
    assert_non_null(strstr(world.story, "fault event_error"));
}

static void a_backup_that_cannot_be_deleted_stays(void **state)
{
    (void)state;
    add_record(FIXTURE_IMAGE, NULL, NULL);
    add_record("second", NULL, NULL);
    world.fail_delete = failure(EACCES, EXC_IMAGE_NOT_AUTHORIZED);
    back_up(1);
    assert_int_equal(world.image, ACTIVE);
    assert_non_null(strstr(world.story, "event_success"));
}

static void arguments_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}",
        "{\"backup_type\": \"daily\"}",
        "{\"backup_type\": 1, \"rotation\": 1}",
        "{\"backup_type\": \"daily\", \"rotation\": -1}",
        "{\"backup_type\": \"daily\", \"rotation\": \"1\"}",
        "{\"backup_type\": \"daily\", \"rotation\": 1e3}",
        "{\"backup_type\": \"daily\", \"rotation\": 1000001}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct error err = ERROR_INIT;
        struct snapshot_arguments arguments = {0};
        json_t *args = json_loads(bad[i], 0, NULL);
        assert_true(backup_arguments_parse(args, &arguments, &err) < 0);
        assert_null(arguments.backup_type);
        json_decref(args);
    }
}

/* Its first state is that of the upload: nova-compute's when another event has started. */
static void a_first_save_that_was_executed_and_refused_is_ours(void **state)
{
    for (unsigned others = 0; others < 2; others++) {
        (void)teardown(state);
        (void)setup(state);
        world.repeated_save = "image_pending_upload";
        world.others_events = others;
        back_up(1);
        assert_null(world.repeated_save);
        assert_int_equal(world.image, others == 0 ? ACTIVE : QUEUED);
        assert_string_equal(world.task_state, others == 0 ? "" : "image_pending_upload");
    }
}

/* Whatever it failed with: nova-compute may just have taken a look at the same request. */
static void what_fails_before_its_first_save_may_be_anothers(void **state)
{
    for (unsigned others = 0; others < 2; others++) {
        (void)teardown(state);
        (void)setup(state);
        world.others_events = others;
        world.silent_actions = 1;
        script.errors[FAKE_GET_POWER_STATE] = failure(EIO, EXC_INTERNAL_ERROR);
        back_up(1);
        assert_int_equal(world.image, others == 0 ? DELETED : QUEUED);
        assert_string_equal(world.task_state, others == 0 ? "" : "image_backup");
        assert_non_null(strstr(world.story, "event_error"));
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(tells_novas_story),
        TEST(the_oldest_go_first),
        TEST(rotation_0_keeps_none),
        TEST(foreign_images_neither_count_nor_go),
        TEST(those_of_whoever_asks_count_and_go),
        TEST(nobody_owns_what_has_no_owner),
        TEST(a_failed_backup_rotates_nothing),
        TEST(a_list_that_fails_is_told_and_the_backup_kept),
        TEST(a_backup_that_cannot_be_deleted_stays),
        TEST(arguments_are_checked),
        TEST(a_first_save_that_was_executed_and_refused_is_ours),
        TEST(what_fails_before_its_first_save_may_be_anothers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
