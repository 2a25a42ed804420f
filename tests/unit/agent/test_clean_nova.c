/* SPDX-License-Identifier: Apache-2.0 */
/* agent/clean_nova.c: images and task states that are nobody's, and each that may be somebody's. */
#include "agent/clean_nova.h"

#include "clean_world.h"

#define OTHER_IMAGE "5f0d1c51-1b57-4c3f-9c1c-0a9d7d1a5c44"
#define LONG_AGO "2020-01-01T00:00:00Z"
#define LATER "2020-01-01T00:10:00Z"

static void add_instance(const char *state, const char *updated_at)
{
    (void)json_array_append_new(clean_world.instances,
                                json_pack("{s:s, s:s?, s:s}", "uuid", FIXTURE_INSTANCE,
                                          "task_state", state, "updated_at", updated_at));
}

/* Returns it, borrowed. */
static json_t *add_image(const char *id, const char *status, const char *created_at)
{
    json_t *image = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "id", id, "status", status,
                              "image_type", "snapshot", "instance_uuid", FIXTURE_INSTANCE,
                              "created_at", created_at, "updated_at", created_at);
    (void)json_array_append_new(clean_world.images, image);
    return image;
}

static void mark(json_t *image)
{
    (void)json_object_set_new(image, "snapshot_agent", json_string("nova-snapshot-agent 0.1.0"));
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

/* A time of this moment, and how much later. */
static const char *now_and(int seconds)
{
    static struct clean_time text;
    text = clean_look_time(time(NULL) + seconds);
    return text.text;
}

static void an_old_image_without_a_state_goes(void **state)
{
    (void)state;
    add_instance(NULL, LONG_AGO);
    add_image(FIXTURE_IMAGE, "queued", LONG_AGO);
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_NOBODYS, "queued: older than the nova-compute that runs");
    assert_string_equal(clean_world_item(CLEAN_IMAGE)->instance, FIXTURE_INSTANCE);
    assert_string_equal(clean_world.story, "");
    clean_nova_remove(&clean_world.look);
    clean_world_is(CLEAN_IMAGE, CLEAN_DONE, "");
    assert_string_equal(clean_world.story, "delete:" FIXTURE_IMAGE " ");
}

static void an_image_of_a_nova_compute_that_runs_is_left(void **state)
{
    (void)state;
    add_instance(NULL, LONG_AGO);
    add_image(FIXTURE_IMAGE, "saving", now_and(0));
    clean_world.look.nova.since = time(NULL) + 30; /* within what clocks may be off */
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "nova-compute, which runs since");
    clean_world.look.nova.since = time(NULL) + 100;
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_NOBODYS, "saving: ");
    clean_world.look.nova.state = CLEAN_PROCESS_UNKNOWN;
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "cannot be seen from here");
}

/* nova-api makes the image before it sets the state. */
static void an_image_of_this_moment_is_left(void **state)
{
    (void)state;
    clean_world.look.nova = (struct clean_process){CLEAN_PROCESS_NONE, time(NULL)};
    add_instance(NULL, LONG_AGO);
    add_image(FIXTURE_IMAGE, "queued", now_and(-5));
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "it is too young");
    (void)json_array_clear(clean_world.images);
    add_image(FIXTURE_IMAGE, "queued", now_and(-100));
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_NOBODYS, "no nova-compute runs");
}

static void an_image_without_an_age_is_left(void **state)
{
    (void)state;
    add_instance(NULL, LONG_AGO);
    add_image(FIXTURE_IMAGE, "queued", "long ago");
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "its age is not known");
}

static void an_image_the_journal_knows_is_left(void **state)
{
    (void)state;
    add_instance(NULL, LONG_AGO);
    mark(add_image(FIXTURE_IMAGE, "queued", LONG_AGO));
    begin_request();
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "the journal knows it");
}

static void an_image_is_left_while_requests_may_wait(void **state)
{
    (void)state;
    bus_state.attached = false;
    add_instance("image_uploading", LONG_AGO);
    mark(add_image(FIXTURE_IMAGE, "queued", LONG_AGO));
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "takes no requests now");
    clean_world_is(CLEAN_TASK_STATE, CLEAN_LEFT, "takes no requests now");
}

static void an_image_whose_server_has_a_state_is_left(void **state)
{
    (void)state;
    add_instance("rebuilding", LONG_AGO);
    add_image(FIXTURE_IMAGE, "queued", LONG_AGO);
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "its server has task state rebuilding");
    assert_int_equal(clean_world.look.list.count, 1); /* that state is no snapshot's */
}

static void images_of_other_hosts_are_not_seen(void **state)
{
    (void)state;
    mark(add_image(FIXTURE_IMAGE, "queued", LONG_AGO));
    find();
    assert_int_equal(clean_world.look.list.count, 0);
}

static void an_agents_image_goes_at_any_age(void **state)
{
    (void)state;
    clean_world.look.nova.since = time(NULL) - 10000;
    add_instance("rebuilding", LONG_AGO);
    mark(add_image(FIXTURE_IMAGE, "saving", now_and(0)));
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_NOBODYS, "an agent that has ended took it");
}

static void an_image_that_is_active_by_now_stays(void **state)
{
    (void)state;
    add_instance(NULL, LONG_AGO);
    add_image(FIXTURE_IMAGE, "saving", LONG_AGO);
    find();
    clean_world.status_now = "active";
    clean_nova_remove(&clean_world.look);
    assert_string_equal(clean_world.story, "");
}

static void an_image_is_left_when_a_request_has_come(void **state)
{
    (void)state;
    add_instance(NULL, LONG_AGO);
    add_image(FIXTURE_IMAGE, "queued", LONG_AGO);
    find();
    clean_world_is(CLEAN_IMAGE, CLEAN_NOBODYS, "");
    begin_request();
    clean_nova_remove(&clean_world.look);
    clean_world_is(CLEAN_IMAGE, CLEAN_FAILED, "");
    assert_string_equal(clean_world.story, "");
}

static void an_old_state_is_cleared_behind_its_image(void **state)
{
    (void)state;
    static const char *const states[] = {"image_snapshot", "image_pending_upload",
                                         "image_uploading"};
    for (size_t i = 0; i < 3; i++) {
        char story[256];
        (void)json_array_clear(clean_world.instances);
        (void)json_array_clear(clean_world.images);
        clean_world.story[0] = '\0';
        add_instance(states[i], LONG_AGO);
        add_image(FIXTURE_IMAGE, "queued", LONG_AGO);
        find();
        clean_world_is(CLEAN_TASK_STATE, CLEAN_NOBODYS, "older than the nova-compute that runs");
        clean_world_is(CLEAN_IMAGE, CLEAN_NOBODYS, "");
        clean_nova_remove(&clean_world.look);
        (void)snprintf(story, sizeof(story),
                       "delete:" FIXTURE_IMAGE " clear:" FIXTURE_INSTANCE ":%s ", states[i]);
        assert_string_equal(clean_world.story, story);
        clean_world_is(CLEAN_TASK_STATE, CLEAN_DONE, "");
    }
}

static void a_state_of_a_request_that_may_wait_is_left(void **state)
{
    (void)state;
    static const char *const states[] = {"image_snapshot_pending", "image_backup"};
    for (size_t i = 0; i < 2; i++) {
        (void)json_array_clear(clean_world.instances);
        add_instance(states[i], LONG_AGO);
        find();
        clean_world_is(CLEAN_TASK_STATE, CLEAN_LEFT, "its request may wait for nova-compute");
    }
}

static void a_state_of_a_nova_compute_that_runs_is_left(void **state)
{
    (void)state;
    clean_world.look.nova.since = time(NULL);
    add_instance("image_uploading", now_and(-30));
    add_image(FIXTURE_IMAGE, "queued", LONG_AGO);
    find();
    clean_world_is(CLEAN_TASK_STATE, CLEAN_LEFT, "nova-compute, which runs since");
    clean_world_is(CLEAN_IMAGE, CLEAN_LEFT, "its server has task state image_uploading");
}

static void a_state_the_journal_knows_is_left(void **state)
{
    (void)state;
    add_instance("image_uploading", LONG_AGO);
    begin_request();
    find();
    clean_world_is(CLEAN_TASK_STATE, CLEAN_LEFT, "the journal knows it");
}

/* nova-compute runs on, and the agent had come to the upload. */
static void a_state_of_an_agents_upload_is_cleared(void **state)
{
    (void)state;
    clean_world.look.nova.since = 1;
    add_instance("image_uploading", LONG_AGO);
    mark(add_image(FIXTURE_IMAGE, "saving", LATER));
    find();
    clean_world_is(CLEAN_TASK_STATE, CLEAN_NOBODYS, "the agent that uploaded its image has ended");
    clean_world_is(CLEAN_IMAGE, CLEAN_NOBODYS, "");
}

/* How far it is was saved after the image's record. */
static void a_state_of_an_agents_upload_that_went_on_is_cleared(void **state)
{
    (void)state;
    clean_world.look.nova.since = 1;
    add_instance("image_uploading", LATER);
    mark(add_image(FIXTURE_IMAGE, "saving", LONG_AGO));
    json_t *instance = json_array_get(clean_world.instances, 0);
    (void)json_object_set_new(instance, "progress", json_integer(100)); /* of another's */
    find();
    clean_world_is(CLEAN_TASK_STATE, CLEAN_LEFT, "nova-compute");
    (void)json_object_set_new(instance, "progress", json_integer(70));
    find();
    clean_nova_remove(&clean_world.look);
    clean_world_is(CLEAN_TASK_STATE, CLEAN_DONE, "");
    assert_string_equal(clean_world.story, "delete:" FIXTURE_IMAGE " clear:" FIXTURE_INSTANCE
                                           ":image_uploading:progress ");
}

/* Each by what it lacks of the one above. */
static void a_state_that_may_be_nova_computes_is_left(void **state)
{
    (void)state;
    clean_world.look.nova.since = 1;
    add_instance("image_uploading", LATER);
    mark(add_image(FIXTURE_IMAGE, "saving", LONG_AGO)); /* of one before */
    find();
    clean_world_is(CLEAN_TASK_STATE, CLEAN_LEFT, "nova-compute");

    (void)json_array_clear(clean_world.instances);
    (void)json_array_clear(clean_world.images);
    add_instance("image_pending_upload", LONG_AGO); /* an agent's image comes later */
    mark(add_image(FIXTURE_IMAGE, "saving", LATER));
    find();
    clean_world_is(CLEAN_TASK_STATE, CLEAN_LEFT, "nova-compute");

    (void)json_array_clear(clean_world.instances);
    add_instance("image_uploading", LONG_AGO);
    (void)add_image(OTHER_IMAGE, "saving", LATER); /* it may be this one's */
    find();
    assert_int_equal(clean_world.look.list.items[0].kind, CLEAN_TASK_STATE);
    clean_world_is(CLEAN_TASK_STATE, CLEAN_LEFT, "nova-compute");
}

static void a_state_stays_while_a_job_is_left(void **state)
{
    (void)state;
    add_instance("image_uploading", LONG_AGO);
    find();
    clean_world_is(CLEAN_TASK_STATE, CLEAN_NOBODYS, "");
    struct clean_item *job = clean_list_add(&clean_world.look.list, CLEAN_JOB, "/x");
    (void)strcpy(job->instance, FIXTURE_INSTANCE);
    job->verdict = CLEAN_FAILED;
    clean_nova_remove(&clean_world.look);
    clean_world_is(CLEAN_TASK_STATE, CLEAN_FAILED, "");
    assert_string_equal(clean_world.story, "");
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
    assert_string_equal(json_string_value(json_array_get(clean_world.look.list.troubles, 0)),
                        "images and task states cannot be looked at: no answer");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, clean_world_set_up, clean_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_old_image_without_a_state_goes),
        TEST(an_image_of_a_nova_compute_that_runs_is_left),
        TEST(an_image_of_this_moment_is_left),
        TEST(an_image_without_an_age_is_left),
        TEST(an_image_the_journal_knows_is_left),
        TEST(an_image_is_left_while_requests_may_wait),
        TEST(an_image_whose_server_has_a_state_is_left),
        TEST(images_of_other_hosts_are_not_seen),
        TEST(an_agents_image_goes_at_any_age),
        TEST(an_image_that_is_active_by_now_stays),
        TEST(an_image_is_left_when_a_request_has_come),
        TEST(an_old_state_is_cleared_behind_its_image),
        TEST(a_state_of_a_request_that_may_wait_is_left),
        TEST(a_state_of_a_nova_compute_that_runs_is_left),
        TEST(a_state_the_journal_knows_is_left),
        TEST(a_state_of_an_agents_upload_is_cleared),
        TEST(a_state_of_an_agents_upload_that_went_on_is_cleared),
        TEST(a_state_that_may_be_nova_computes_is_left),
        TEST(a_state_stays_while_a_job_is_left),
        TEST(what_cannot_be_asked_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
