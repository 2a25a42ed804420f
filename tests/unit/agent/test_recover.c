/* SPDX-License-Identifier: Apache-2.0 */
/* agent/snapshot.c, resume.c, finish.c: a request that an agent which died has left. */
#include "agent/recover.h"
#include "bus_state.h"
#include "world.h"

static struct error err;

/* The record of a life that ended; `notes` in order, as {"name": value}. */
static struct journal_record *life(const struct rpc_request *request, const char *notes)
{
    size_t i;
    json_t *note, *value;
    const char *name;
    struct journal_record *record = state_dir_record(request);
    json_t *list = json_loads(notes, 0, NULL);
    assert_non_null(list);
    json_array_foreach (list, i, note) {
        json_object_foreach (note, name, value) {
            journal_mark(record, name, json_incref(value));
        }
    }
    json_decref(list);
    return record;
}

static void recover_request(struct rpc_request *request, const char *notes)
{
    journal_leave(life(request, notes));
    rpc_request_free(request);
    fake_driver_set_script(agent.driver, &script);
    assert_int_equal(recovery_run(agent.recovery, &agent, 10000, &err), 0);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
}

static void recover(const char *notes)
{
    recover_request(fixture_request(), notes);
}

static int setup_workers(void **state)
{
    static char standard[] = "default";
    err = (struct error)ERROR_INIT;
    (void)setup(state);
    bus_state.connected = bus_state.attached = bus_state.given_out = true;
    bus_state.drained = false;
    recovery_bus_is_started(agent.recovery);
    conf.libvirt.images_type = standard;
    return workers_new(4, &agent.workers, &err);
}

static int teardown_workers(void **state)
{
    workers_free(agent.workers);
    return teardown(state);
}

#define INTERRUPTED "the snapshot agent ended while it took this snapshot"

static void what_had_hardly_begun_is_begun_again(void **state)
{
    static const char *const lives[] = {
        "[]",
        "[{\"event_started\": true}, {\"next_state\": \"image_snapshot\"}]",
        ("[{\"event_started\": true}, {\"next_state\": \"image_snapshot\"},"
         " {\"task_state\": \"image_snapshot\"}]"),
        /* and it died before it noted more */
        "[{\"event_started\": true}, {\"next_state\": \"image_snapshot\"}]",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lives); i++) {
        (void)teardown_workers(state);
        (void)setup_workers(state);
        world.open_events = i >= 1;
        if (i >= 2)
            (void)strcpy(world.task_state, "image_snapshot");
        recover(lives[i]);
        assert_int_equal(world.image, ACTIVE);
        assert_string_equal(world.task_state, "");
        assert_string_equal(world.fault, "");
        assert_non_null(strstr(world.story, "event_success"));
    }
}

/* nova-compute has the same request, and was faster with its first state. */
static void what_another_has_begun_meanwhile_is_not_begun_again(void **state)
{
    (void)state;
    world.open_events = 1;
    world.others_events = 1;
    (void)strcpy(world.task_state, "image_snapshot");
    recover("[{\"event_started\": true}, {\"next_state\": \"image_snapshot\"}]");
    assert_int_equal(world.image, QUEUED);
    assert_string_equal(world.task_state, "image_snapshot");
    assert_non_null(strstr(world.story, "event_error"));
}

static void an_event_is_not_started_twice(void **state)
{
    (void)state;
    world.open_events = 1;
    recover("[{\"event_started\": true}]");
    assert_null(strstr(world.story, "event_start "));
    assert_non_null(strstr(world.story, "event_success"));
    assert_int_equal(world.image, ACTIVE);
}

/* Undone and told, whatever the last life was about. */
static void what_was_half_done_is_undone(void **state)
{
    struct fake_record record;
    world.open_events = 1;
    (void)strcpy(world.task_state, "image_pending_upload");
    recover("[{\"event_started\": true}, {\"task_state\": \"image_pending_upload\"},"
            " {\"next_state\": \"image_pending_upload\"}, {\"driver\": {}}, {\"driver\": {}}]");
    fake_driver_get_record(agent.driver, &record);
    assert_int_equal(record.calls[FAKE_RECOVER], 1);
    assert_int_equal(record.recovered_entries, 2);
    assert_int_equal(record.calls[FAKE_EXTRACT], 0);
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "");
    assert_string_equal(world.fault, INTERRUPTED);
    assert_non_null(strstr(world.story, "event_error"));
    (void)state;
}

static void a_finished_image_is_uploaded(void **state)
{
    (void)state;
    world.open_events = 1;
    script.recovers_image = true;
    (void)strcpy(world.task_state, "image_pending_upload");
    recover("[{\"event_started\": true}, {\"task_state\": \"image_pending_upload\"},"
            " {\"next_state\": \"image_pending_upload\"}, {\"image_format\": \"raw\"},"
            " {\"driver\": {}}]");
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
    assert_string_equal(world.fault, "");
    assert_string_equal(json_string_value(json_object_get(world.attributes, "disk_format")), "raw");
    assert_non_null(strstr(world.story, "put:5 state: "));
    assert_non_null(strstr(world.story, "event_success"));
}

static void recover_better(enum fake_call call, const char *uuid, void *userdata)
{
    (void)uuid;
    unsigned *n = userdata;
    if (call == FAKE_RECOVER && ++*n == 1) {
        struct fake_script better = script;
        better.errors[FAKE_RECOVER] = (struct error)ERROR_INIT;
        better.recovers_image = true;
        fake_driver_set_script(agent.driver, &better);
    }
}

/* What the driver could not do before nova could be asked is done then: its image is not lost. */
static void a_guest_is_tried_again_once_nova_can_be_asked(void **state)
{
    unsigned n = 0;
    (void)state;
    world.open_events = 1;
    script.errors[FAKE_RECOVER] = failure(EAGAIN, EXC_INTERNAL_ERROR);
    script.on_call = recover_better;
    script.userdata = &n;
    recover("[{\"event_started\": true}, {\"image_format\": \"raw\"}, {\"driver\": {}}]");
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.fault, "");
}

static void recover_complete(const char *more)
{
    char journal[512];
    world.open_events = 1;
    world.image = ACTIVE;
    (void)strcpy(world.task_state, "image_uploading");
    (void)snprintf(journal, sizeof(journal),
                   "[{\"event_started\": true}, {\"task_state\": \"image_uploading\"},"
                   " {\"next_state\": \"image_uploading\"}, {\"driver\": {}},%s"
                   " {\"upload_started\": true}, {\"image_complete\": true}]",
                   more);
    recover(journal);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
    assert_string_equal(world.fault, "");
    assert_non_null(strstr(world.story, "event_success"));
}

/* What it was made from, files or a disk that is shown, goes all the same. */
static void a_complete_image_is_kept(void **state)
{
    (void)state;
    struct fake_record record;
    recover_complete("");
    fake_driver_get_record(agent.driver, &record);
    assert_int_equal(record.calls[FAKE_RECOVER], 1);
}

static void what_a_complete_image_points_to_is_kept(void **state)
{
    (void)state;
    struct fake_record record;
    recover_complete(" {\"location\": \"rbd://fsid/pool/image/snap\"},");
    fake_driver_get_record(agent.driver, &record);
    assert_int_equal(record.calls[FAKE_RECOVER], 0);
}

/* What was done of the end is not done again. */
static void the_end_goes_on_where_it_was(void **state)
{
    (void)state;
    world.open_events = 1;
    world.image = DELETED;
    world.task_state[0] = '\0';
    recover("[{\"event_started\": true}, {\"driver\": {}},"
            " {\"failure\": {\"errnum\": 5, \"code\": 0, \"exc\": \"InternalError\","
            "   \"module\": \"nova.exception\", \"message\": \"no space\"}},"
            " {\"ended\": 0}, {\"ended\": 1}, {\"ended\": 2}, {\"ended\": 3},"
            " {\"ended\": 4}]");
    assert_null(strstr(world.story, "delete"));
    assert_null(strstr(world.story, "state:"));
    assert_string_equal(world.fault, "no space");
    assert_string_equal(world.details, "no space");
}

static void volumes_are_let_go(void **state)
{
    (void)state;
    world.open_events = 1;
    world.n_snapshots = 1;
    (void)strcpy(world.task_state, "image_pending_upload");
    recover("[{\"event_started\": true}, {\"task_state\": \"image_pending_upload\"},"
            " {\"next_state\": \"image_pending_upload\"},"
            " {\"volumes\": {\"name\": \"snapshot for snap\","
            "   \"volumes\": [\"" FIXTURE_INSTANCE "\"]}},"
            " {\"snapshots\": {\"" FIXTURE_INSTANCE "\": \"" FIXTURE_IMAGE "\"}}]");
    assert_int_equal(world.n_snapshots, 0);
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.fault, INTERRUPTED);
}

static void an_image_of_volumes_that_is_active_is_kept(void **state)
{
    (void)state;
    world.open_events = 1;
    world.n_snapshots = 1;
    world.image = ACTIVE;
    (void)strcpy(world.task_state, "image_uploading");
    recover("[{\"event_started\": true}, {\"task_state\": \"image_uploading\"},"
            " {\"next_state\": \"image_uploading\"},"
            " {\"volumes\": {\"name\": \"snapshot for snap\","
            "   \"volumes\": [\"" FIXTURE_INSTANCE "\"]}}, {\"upload_started\": true}]");
    assert_int_equal(world.n_snapshots, 1);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
    assert_non_null(strstr(world.story, "event_success"));
}

/* The broker gives a request again that nobody has acked. */
static void nobody_is_robbed_of_an_unacked_request(void **state)
{
    struct journal_record *record = NULL;
    for (int taken = 0; taken < 2; taken++) {
        (void)teardown_workers(state);
        (void)setup_workers(state);
        struct rpc_request *request = fixture_request();
        if (taken)
            (void)strcpy(world.task_state, "image_snapshot");
        assert_int_equal(journal_begin(state_dir.journal, request, &record, &err), 0);
        journal_leave(record);
        rpc_request_free(request);
        assert_int_equal(recovery_run(agent.recovery, &agent, 10000, &err), 0);
        assert_int_equal(workers_wait(agent.workers, 60000), 0);
        assert_int_equal(world.image, taken ? QUEUED : ACTIVE);
        assert_string_equal(world.task_state, taken ? "image_snapshot" : "");
        assert_string_equal(world.fault, "");
    }
}

/* Whatever kills the agent, it is not this one, which was never begun here: nova-compute has it. */
static void what_was_never_begun_is_not_given_up(void **state)
{
    (void)state;
    struct journal_record *record = NULL;
    struct rpc_request *request = fixture_request();
    (void)strcpy(world.task_state, "image_snapshot");
    assert_int_equal(journal_begin(state_dir.journal, request, &record, &err), 0);
    for (int i = 0; i < 6; i++)
        journal_mark(record, "recovered", json_true());
    journal_leave(record);
    rpc_request_free(request);
    assert_int_equal(recovery_run(agent.recovery, &agent, 10000, &err), 0);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(world.image, QUEUED);
    assert_string_equal(world.task_state, "image_snapshot");
    assert_string_equal(world.fault, "");
}

/* It was found to be ours before, and begun: what its first save has done is found out as ever. */
static void what_was_in_doubt_and_begun_is_not_dropped(void **state)
{
    (void)state;
    struct journal_record *record = NULL;
    struct rpc_request *request = fixture_request();
    world.open_events = 1;
    (void)strcpy(world.task_state, "image_snapshot");
    assert_int_equal(journal_begin(state_dir.journal, request, &record, &err), 0);
    journal_mark(record, "event_started", json_true());
    journal_mark(record, "next_state", json_string("image_snapshot"));
    journal_leave(record);
    rpc_request_free(request);
    fake_driver_set_script(agent.driver, &script);
    assert_int_equal(recovery_run(agent.recovery, &agent, 10000, &err), 0);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
    assert_non_null(strstr(world.story, "event_success"));
}

/* nova-compute may have made it: only Glance knows, when it is there again. */
static void an_image_nobody_could_look_at_is_not_deleted(void **state)
{
    (void)state;
    world.image = ACTIVE;
    world.fail_get = failure(EIO, EXC_INTERNAL_ERROR);
    world.fail_get.http_status = 503;
    world.n_fail_get = 1;
    recover("[{\"failure\": {\"errnum\": 5, \"code\": 0, \"exc\": \"InternalError\","
            " \"module\": \"nova.exception\", \"message\": \"no space\"}}]");
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.deleted, "");
}

/* Keystone refuses [service_user]: its operator has to mend that, and the image is not forgotten.
 */
static void an_image_is_deleted_once_there_is_a_token_again(void **state)
{
    (void)state;
    world.fail_delete = failure(EACCES, EXC_INTERNAL_ERROR);
    world.fail_delete.http_status = 401;
    world.fail_delete.passes = true;
    world.n_fail_delete = 2;
    recover("[{\"upload_started\": true}, {\"failure\": {\"errnum\": 5, \"code\": 0,"
            " \"exc\": \"InternalError\", \"module\": \"nova.exception\","
            " \"message\": \"no space\"}}]");
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.fault, "no space");
}

static void a_request_that_kills_the_agent_is_given_up(void **state)
{
    (void)state;
    recover("[{\"recovered\": true}, {\"recovered\": true}, {\"recovered\": true}]");
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "");
    assert_string_equal(world.fault, INTERRUPTED);
}

static void recover_again(enum fake_call call, const char *uuid, void *userdata)
{
    (void)uuid;
    unsigned *n = userdata;
    if (call == FAKE_RECOVER && ++*n == 2) {
        struct fake_script better = script;
        better.errors[FAKE_RECOVER] = (struct error)ERROR_INIT;
        fake_driver_set_script(agent.driver, &better);
    }
}

/* A guest that cannot be brought back is tried on: nothing is told before. */
static void the_guest_comes_first(void **state)
{
    (void)state;
    unsigned n = 0;
    struct fake_record record;
    script.errors[FAKE_RECOVER] = failure(ECONNREFUSED, EXC_INTERNAL_ERROR);
    script.on_call = recover_again;
    script.userdata = &n;
    recover("[{\"driver\": {}}]");
    fake_driver_get_record(agent.driver, &record);
    assert_true(record.calls[FAKE_RECOVER] >= 3);
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "");
}

/* Without an answer nothing is decided: a conductor that is away costs time, not the request. */
static void the_owner_is_asked_for_until_somebody_answers(void **state)
{
    (void)state;
    struct journal_record *record = NULL;
    struct rpc_request *request = fixture_request();
    world.silent_saves = 2; /* as often as one save is sent */
    assert_int_equal(journal_begin(state_dir.journal, request, &record, &err), 0);
    journal_leave(record);
    rpc_request_free(request);
    assert_int_equal(recovery_run(agent.recovery, &agent, 10000, &err), 0);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(world.silent_saves, 0);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
}

static void notes_the_driver_does_not_understand_keep_nobody_waiting(void **state)
{
    (void)state;
    world.open_events = 1;
    script.errors[FAKE_RECOVER] = failure(EINVAL, EXC_INTERNAL_ERROR);
    recover("[{\"event_started\": true}, {\"driver\": {}}]");
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "");
    assert_string_equal(world.fault, INTERRUPTED);
    assert_int_equal(state_dir_clear("journal"), 1); /* set aside: the definition is in it */
    state_dir_make_folder("journal");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_workers, teardown_workers)
    const struct CMUnitTest tests[] = {
        TEST(what_had_hardly_begun_is_begun_again),
        TEST(what_another_has_begun_meanwhile_is_not_begun_again),
        TEST(an_event_is_not_started_twice),
        TEST(what_was_half_done_is_undone),
        TEST(a_finished_image_is_uploaded),
        TEST(a_guest_is_tried_again_once_nova_can_be_asked),
        TEST(a_complete_image_is_kept),
        TEST(what_a_complete_image_points_to_is_kept),
        TEST(the_end_goes_on_where_it_was),
        TEST(volumes_are_let_go),
        TEST(an_image_of_volumes_that_is_active_is_kept),
        TEST(nobody_is_robbed_of_an_unacked_request),
        TEST(what_was_never_begun_is_not_given_up),
        TEST(what_was_in_doubt_and_begun_is_not_dropped),
        TEST(an_image_nobody_could_look_at_is_not_deleted),
        TEST(an_image_is_deleted_once_there_is_a_token_again),
        TEST(a_request_that_kills_the_agent_is_given_up),
        TEST(the_guest_comes_first),
        TEST(the_owner_is_asked_for_until_somebody_answers),
        TEST(notes_the_driver_does_not_understand_keep_nobody_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
