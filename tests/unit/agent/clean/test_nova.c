/* SPDX-License-Identifier: Apache-2.0 */
/* agent/clean/nova.c: images that are nobody's, and all that may be somebody's. */
#include "agent/clean/nova.h"

#include "common/cancel.h"
#include "world.h"

#define OTHER_IMAGE "5f0d1c51-1b57-4c3f-9c1c-0a9d7d1a5c44"
#define LONG_AGO "2020-01-01T00:00:00Z"

static void add_instance(const char *state)
{
    (void)json_array_append_new(clean_world.instances,
                                json_pack("{s:s, s:s?, s:s}", "uuid", FIXTURE_INSTANCE,
                                          "task_state", state, "updated_at", LONG_AGO));
}

/* Returns it, borrowed. */
static json_t *add_image(const char *id, const char *status)
{
    json_t *image =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", id, "status", status, "image_type",
                  "snapshot", "instance_uuid", FIXTURE_INSTANCE, "created_at", LONG_AGO,
                  "updated_at", LONG_AGO, "snapshot_agent", "nova-snapshot-agent 0.1.0");
    (void)json_array_append_new(clean_world.images, image);
    return image;
}

/* As this agent marks an image of that id. */
static void mark(json_t *image, const char *id)
{
    char text[HOST_KEY_MARK_SIZE];
    assert_true(host_key_mark(&clean_world.agent.key, id, text));
    (void)json_object_set_new(image, "snapshot_mark", json_string(text));
}

static void find(void)
{
    clean_list_done(&clean_world.look.list);
    clean_nova_find(&clean_world.look);
    assert_null(clean_world.look.list.troubles);
}

static void begin_request(void)
{
    struct error err = ERROR_INIT;
    struct journal_record *begun = NULL;
    struct rpc_request *request = fixture_request();
    assert_int_equal(journal_begin(state_dir.journal, request, &begun, &err), 0);
    journal_leave(begun);
    rpc_request_free(request);
}

static void an_image_of_this_agent_goes(void **state)
{
    (void)state;
    static const char *const states[] = {"queued", "saving"};
    add_instance(NULL);
    for (size_t i = 0; i < 2; i++) {
        (void)json_array_clear(clean_world.images);
        clean_world.story[0] = '\0';
        mark(add_image(FIXTURE_IMAGE, states[i]), FIXTURE_IMAGE);
        find();
        clean_world_is(CLEAN_IMAGE, CLEAN_NOBODYS, "its journal does not know it any more");
        assert_string_equal(clean_world_item(CLEAN_IMAGE)->instance, FIXTURE_INSTANCE);
        assert_string_equal(clean_world.story, "");
        clean_nova_remove(&clean_world.look);
        clean_world_is(CLEAN_IMAGE, CLEAN_DONE, "");
        assert_string_equal(clean_world.story, "delete:" FIXTURE_IMAGE " ");
    }
}

/*
 * Of a server that was booted from an image of this agent's: nova-compute's, one whose request
 * waits, one that is shelved.
 */
static void a_mark_that_is_inherited_is_another_images(void **state)
{
    (void)state;
    static const char *const states[] = {NULL, "image_snapshot_pending", "image_uploading",
                                         "shelving_image_uploading"};
    mark(add_image(FIXTURE_IMAGE, "saving"), OTHER_IMAGE);
    for (size_t i = 0; i < 4; i++) {
        (void)json_array_clear(clean_world.instances);
        add_instance(states[i]);
        find();
        clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "nova-compute may be at it");
        clean_nova_remove(&clean_world.look);
    }
    assert_string_equal(clean_world.story, "");
}

/* What has only the properties, which Cinder and scripts copy as well; what another agent made. */
static void an_image_without_our_mark_is_left(void **state)
{
    (void)state;
    add_instance(NULL);
    json_t *image = add_image(FIXTURE_IMAGE, "queued");
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "openstack image delete " FIXTURE_IMAGE);
    mark(image, FIXTURE_IMAGE);
    clean_world.agent.key.bytes[0]++;
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "queued since " LONG_AGO);
    clean_world.agent.key.known = false;
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "");
    (void)json_object_set_new(image, "snapshot_mark", json_integer(1));
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "");
}

static void an_image_the_journal_knows_is_left(void **state)
{
    (void)state;
    add_instance(NULL);
    mark(add_image(FIXTURE_IMAGE, "queued"), FIXTURE_IMAGE);
    begin_request();
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "the journal knows it");
}

/* By this agent, whose journal somebody has removed. */
static void an_image_of_a_server_in_work_is_left(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct instance_turn *turn = NULL;
    add_instance(NULL);
    mark(add_image(FIXTURE_IMAGE, "saving"), FIXTURE_IMAGE);
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_NOBODYS, "");
    assert_int_equal(
        instance_queue_join(clean_world.agent.instance_queue, FIXTURE_INSTANCE, &turn, &err), 0);
    clean_nova_remove(&clean_world.look);
    instance_turn_free(turn);
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "a request on the server is under way");
    assert_string_equal(clean_world.story, "");
}

static void images_of_other_hosts_are_not_seen(void **state)
{
    (void)state;
    mark(add_image(FIXTURE_IMAGE, "queued"), FIXTURE_IMAGE);
    find();
    assert_int_equal(clean_world.look.list.count, 0);
}

/* Its record ended with it, between the look at the one and at the other. */
static void an_image_that_is_active_by_now_stays(void **state)
{
    (void)state;
    add_instance(NULL);
    json_t *image = add_image(FIXTURE_IMAGE, "saving");
    mark(image, FIXTURE_IMAGE);
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_NOBODYS, "");
    (void)json_object_set_new(image, "status", json_string("active"));
    clean_nova_remove(&clean_world.look);
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "it is active by now");
    assert_string_equal(clean_world.story, "");
}

static void an_image_that_has_gone_by_now_needs_nothing(void **state)
{
    (void)state;
    add_instance(NULL);
    mark(add_image(FIXTURE_IMAGE, "saving"), FIXTURE_IMAGE);
    find();
    (void)json_array_clear(clean_world.images);
    clean_nova_remove(&clean_world.look);
    clean_world_is(CLEAN_IMAGE, CLEAN_DONE, "");
    assert_string_equal(clean_world.story, "");
}

static void an_image_is_left_when_a_request_has_come(void **state)
{
    (void)state;
    add_instance(NULL);
    mark(add_image(FIXTURE_IMAGE, "queued"), FIXTURE_IMAGE);
    find();
    begin_request();
    clean_nova_remove(&clean_world.look);
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "the journal knows it");
    assert_string_equal(clean_world.story, "");
}

static void a_state_is_shown_and_left(void **state)
{
    (void)state;
    static const char *const states[] = {"image_snapshot_pending", "image_snapshot",
                                         "image_pending_upload", "image_uploading"};
    mark(add_image(FIXTURE_IMAGE, "saving"), FIXTURE_IMAGE); /* it may be an earlier one's */
    for (size_t i = 0; i < 4; i++) {
        (void)json_array_clear(clean_world.instances);
        add_instance(states[i]);
        find();
        clean_world_is(CLEAN_TASK_STATE, CLEAN_LEFT, "restart nova-compute, or openstack server");
        assert_string_equal(clean_world_item(CLEAN_TASK_STATE)->what, states[i]);
        assert_string_equal(clean_world_item(CLEAN_TASK_STATE)->instance, FIXTURE_INSTANCE);
    }
    clean_nova_remove(&clean_world.look);
    assert_string_equal(clean_world.story, "delete:" FIXTURE_IMAGE " ");
    (void)json_array_clear(clean_world.instances);
    add_instance("image_backup"); /* which nova-compute does not clear */
    find();
    clean_world_is(CLEAN_TASK_STATE, CLEAN_LEFT, "if nobody is: openstack server set");
}

static void a_state_the_journal_knows_is_told_as_such(void **state)
{
    (void)state;
    add_instance("image_uploading");
    begin_request();
    find();
    clean_world_is(CLEAN_TASK_STATE, CLEAN_LEFT, "the journal knows it");
}

static void states_of_others_are_not_seen(void **state)
{
    (void)state;
    add_instance("rebuilding");
    find();
    assert_int_equal(clean_world.look.list.count, 0);
}

static const char *trouble(size_t i)
{
    return json_string_value(json_array_get(clean_world.look.list.troubles, i));
}

static void what_cannot_be_asked_is_told(void **state)
{
    (void)state;
    (void)error_set(&clean_world.fail_list, ETIMEDOUT, EXC_MESSAGING_TIMEOUT, "no answer");
    clean_nova_find(&clean_world.look);
    assert_int_equal(clean_world.look.list.count, 0);
    clean_world.fail_list = (struct error)ERROR_INIT;
    clean_world.agent.own_session = NULL;
    clean_nova_find(&clean_world.look);
    assert_int_equal(json_array_size(clean_world.look.list.troubles), 2);
    assert_string_equal(trouble(0), "images and task states cannot be looked at: no answer");
}

/* Glance answers with fewer, not with a refusal. */
static void who_is_shown_not_all_says_so(void **state)
{
    (void)state;
    clean_world.role = "member";
    add_instance("image_uploading");
    clean_nova_find(&clean_world.look);
    assert_int_equal(clean_world.look.list.count, 1);
    assert_int_equal(json_array_size(clean_world.look.list.troubles), 1);
    assert_non_null(strstr(trouble(0), "there may be more images"));
}

static void the_end_of_the_agent_ends_it(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct cancel *cancel = NULL;
    add_instance(NULL);
    mark(add_image(FIXTURE_IMAGE, "queued"), FIXTURE_IMAGE);
    find();
    assert_int_equal(cancel_new(&cancel, &err), 0);
    (void)error_set(&err, ECANCELED, EXC_INTERNAL_ERROR, "the agent ends");
    cancel_request(cancel, &err);
    (void)cancel_enter(cancel);
    clean_nova_remove(&clean_world.look);
    (void)cancel_enter(NULL);
    cancel_free(cancel);
    clean_world_is(CLEAN_IMAGE, CLEAN_FAILED, "");
    assert_string_equal(clean_world.story, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, clean_world_set_up, clean_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_image_of_this_agent_goes),
        TEST(a_mark_that_is_inherited_is_another_images),
        TEST(an_image_without_our_mark_is_left),
        TEST(an_image_the_journal_knows_is_left),
        TEST(an_image_of_a_server_in_work_is_left),
        TEST(images_of_other_hosts_are_not_seen),
        TEST(an_image_that_is_active_by_now_stays),
        TEST(an_image_that_has_gone_by_now_needs_nothing),
        TEST(an_image_is_left_when_a_request_has_come),
        TEST(a_state_is_shown_and_left),
        TEST(a_state_the_journal_knows_is_told_as_such),
        TEST(states_of_others_are_not_seen),
        TEST(what_cannot_be_asked_is_told),
        TEST(who_is_shown_not_all_says_so),
        TEST(the_end_of_the_agent_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
