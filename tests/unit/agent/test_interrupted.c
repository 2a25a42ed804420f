/* SPDX-License-Identifier: Apache-2.0 */
/* agent/finish.c, resume.c: what the agent's orderly end leaves, and what the next start does. */
#include <poll.h>

#include "agent/dispatch.h"
#include "agent/recover.h"
#include "bus_state.h"
#include "world.h"

static struct error err;
static unsigned n_handed_back;
static json_t *entries; /* what the driver notes */

int __wrap_rpc_hand_back(struct bus *bus, const struct rpc_request *request, struct error *failure);

int __wrap_rpc_hand_back(struct bus *bus, const struct rpc_request *request, struct error *failure)
{
    (void)bus, (void)request, (void)failure;
    n_handed_back++;
    return 0;
}

void __wrap_bus_detach(struct bus *bus);

void __wrap_bus_detach(struct bus *bus)
{
    (void)bus;
}

static int setup_workers(void **state)
{
    static char standard[] = "default", shared[] = "shared";
    err = (struct error)ERROR_INIT;
    n_handed_back = 0;
    (void)setup(state);
    bus_state.connected = bus_state.attached = bus_state.given_out = true;
    bus_state.drained = false;
    recovery_bus_is_started(agent.recovery);
    conf.libvirt.images_type = standard;
    conf.snapshot_agent.attach = shared;
    conf.DEFAULT.graceful_shutdown_timeout = 60;
    return workers_new(4, &agent.workers, &err);
}

static int teardown_workers(void **state)
{
    workers_free(agent.workers);
    json_decref(entries);
    entries = NULL;
    return teardown(state);
}

/* What main does when graceful_shutdown_timeout is nearly over. */
static void end_the_agent(void)
{
    struct error reason = ERROR_INIT;
    shutdown_reason(&reason);
    (void)canceller_cancel_all(agent.canceller, CANCELLER_ALL, &reason);
}

static void end_at_extract(enum fake_call call, const char *uuid, void *userdata)
{
    (void)uuid, (void)userdata;
    if (call == FAKE_EXTRACT)
        end_the_agent();
}

static void arrive(const char *image_id)
{
    void *claim = NULL;
    struct rpc_request *request = fixture_request();
    (void)json_object_set_new(request->args, "image_id", json_string(image_id));
    assert_int_equal(dispatch_ops.accept(&agent, request), RPC_SERVE);
    assert_true(dispatch_ops.write_down(&agent, request, &claim));
    dispatch_ops.serve(&agent, request, claim);
}

static struct fake_record record(void)
{
    struct fake_record record;
    fake_driver_get_record(agent.driver, &record);
    return record;
}

/* One life, to its orderly end. */
static void live(void)
{
    fake_driver_set_script(agent.driver, &script);
    arrive(FIXTURE_IMAGE);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
}

static void assert_nothing_was_lost(const char *task_state)
{
    assert_int_equal(world.image, QUEUED);
    assert_string_equal(world.deleted, "");
    assert_string_equal(world.fault, "");
    assert_string_equal(world.task_state, task_state);
    assert_null(strstr(world.story, "event_error"));
}

/* The next life, in the same world. */
static void live_again(void)
{
    script.on_call = NULL;
    script.errors[FAKE_EXTRACT] = (struct error)ERROR_INIT;
    world.on_upload = NULL;
    fake_driver_set_script(agent.driver, &script);
    assert_int_equal(recovery_run(agent.recovery, &agent, 10000, &err), 0);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
}

static void assert_active(void)
{
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
    assert_string_equal(world.fault, "");
    assert_string_equal(world.deleted, "");
    assert_non_null(strstr(world.story, "event_success"));
}

static void a_copy_is_begun_again(void **state)
{
    (void)state;
    script.entries = entries = json_pack("[{s:s}]", "step", "begin");
    script.on_call = end_at_extract;
    script.errors[FAKE_EXTRACT] = failure(ECANCELED, EXC_INTERNAL_ERROR);
    live();
    assert_nothing_was_lost("image_pending_upload");
    live_again();
    assert_int_equal(record().calls[FAKE_EXTRACT], 2);
    assert_int_equal(record().calls[FAKE_RECOVER], 2); /* once in each life */
    assert_active();
    assert_ptr_equal(strstr(strstr(world.story, "event_start") + 1, "event_start"), NULL);
}

/* Finished, and half sent: its file stays. */
static void an_image_is_left_for_the_next_start(void **state)
{
    (void)state;
    script.entries = entries = json_pack("[{s:s}, {s:s}]", "step", "begin", "step", "image");
    conf.snapshot_agent.image_provenance = true;
    world.on_upload = end_the_agent;
    live();
    assert_nothing_was_lost("image_uploading");
    assert_int_equal(record().images_left, 1);
    json_decref(world.attributes);
    world.attributes = NULL;
    assert_int_equal(record().calls[FAKE_RECOVER], 0);
    script.recovers_image = true;
    live_again();
    assert_int_equal(record().calls[FAKE_EXTRACT], 1);
    assert_int_equal(record().images_left, 1);
    assert_active();
    assert_string_equal(json_string_member(world.attributes, "snapshot_method"), "blockrebase");
    assert_int_equal(json_integer_value(world.progress), 0);
}

/* A disk that is shown is shown no longer: it is read again. */
static void end_a_stream_and_begin_again(unsigned n_saving)
{
    script.entries = entries = json_pack("[{s:s}]", "step", "begin");
    script.shows_disk = true;
    world.on_upload = end_the_agent;
    live();
    assert_nothing_was_lost("image_uploading");
    assert_int_equal(record().calls[FAKE_RECOVER], 1);
    json_decref(world.attributes);
    world.attributes = NULL;
    world.n_saving = n_saving;
    live_again();
    assert_int_equal(record().calls[FAKE_EXTRACT], 2);
    assert_non_null(world.attributes);
    assert_active();
}

static void a_stream_is_begun_again(void **state)
{
    (void)state;
    end_a_stream_and_begin_again(0);
}

/* It says "saving" until its store has removed what had come. */
static void an_upload_that_glance_clears_up_is_waited_for(void **state)
{
    (void)state;
    end_a_stream_and_begin_again(2);
    assert_int_equal(world.n_saving, 0);
}

/* Glance has what cannot be verified any more: the truth is a failure. */
static void data_nobody_can_verify_is_not_kept(void **state)
{
    (void)state;
    script.shows_disk = true;
    script.entries = entries = json_pack("[{s:s}]", "step", "begin");
    world.on_upload = end_the_agent;
    live();
    world.image = ACTIVE;
    live_again();
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "");
    assert_true(world.fault[0] != '\0');
}

/* An agent that is killed after one that was ended: as if there had been no such end. */
static void a_death_is_no_end(void **state)
{
    (void)state;
    script.entries = entries = json_pack("[{s:s}]", "step", "begin");
    script.on_call = end_at_extract;
    script.errors[FAKE_EXTRACT] = failure(ECANCELED, EXC_INTERNAL_ERROR);
    live();
    char path[160];
    (void)snprintf(path, sizeof(path),
                   "for f in %s/" STATE_HOST ".journal/*; do echo '{\"recovered\":true}\n"
                   "{\"driver\":{}}' >>$f; done",
                   state_dir.path);
    assert_int_equal(system(path), 0); /* NOLINT(cert-env33-c) */
    live_again();
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.fault, "the snapshot agent ended while it took this snapshot");
}

static void run_in_journal(const char *command)
{
    char line[512];
    (void)snprintf(line, sizeof(line), "cd %s/" STATE_HOST ".journal && %s", state_dir.path,
                   command);
    assert_int_equal(system(line), 0); /* NOLINT(cert-env33-c) */
}

/* What the journal says at this moment is kept, as if the agent died of it. */
static void die_before_extract(enum fake_call call, const char *uuid, void *userdata)
{
    (void)uuid, (void)userdata;
    if (call != FAKE_INSPECT)
        return;
    run_in_journal("mkdir ../kept && cp -p *.request ../kept");
    end_the_agent();
}

/* It had been taken back, and nothing was made since. */
static void a_death_before_the_guest_is_touched_again_is_no_failure(void **state)
{
    (void)state;
    script.entries = entries = json_pack("[{s:s}]", "step", "begin");
    script.on_call = end_at_extract;
    script.errors[FAKE_EXTRACT] = failure(ECANCELED, EXC_INTERNAL_ERROR);
    live();
    script.on_call = die_before_extract;
    fake_driver_set_script(agent.driver, &script);
    assert_int_equal(recovery_run(agent.recovery, &agent, 10000, &err), 0);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    run_in_journal("mv ../kept/* . && rmdir ../kept");
    live_again();
    assert_active();
}

/* However often the package is upgraded. */
static void many_ends_are_no_reason_to_give_up(void **state)
{
    (void)state;
    script.entries = entries = json_pack("[{s:s}]", "step", "begin");
    script.on_call = end_at_extract;
    script.errors[FAKE_EXTRACT] = failure(ECANCELED, EXC_INTERNAL_ERROR);
    live();
    for (int i = 0; i < 6; i++) {
        assert_int_equal(recovery_run(agent.recovery, &agent, 10000, &err), 0);
        assert_int_equal(workers_wait(agent.workers, 60000), 0);
        assert_nothing_was_lost("image_pending_upload");
    }
    live_again();
    assert_active();
}

static void snapshots_of_volumes_are_made_again(void **state)
{
    (void)state;
    world.n_snapshots = 1;
    struct rpc_request *request = fixture_request();
    struct journal_record *left = state_dir_record(request);
    journal_mark(left, "event_started", json_true());
    journal_mark(left, "task_state", json_string("image_pending_upload"));
    journal_mark(left, "next_state", json_string("image_pending_upload"));
    journal_mark(
        left, "volumes",
        json_pack("{s:s, s:[s]}", "name", "snapshot for snap", "volumes", FIXTURE_INSTANCE));
    journal_mark(left, "snapshots", json_pack("{s:s}", FIXTURE_INSTANCE, FIXTURE_IMAGE));
    journal_mark(left, "interrupted", json_integer(0));
    journal_leave(left);
    rpc_request_free(request);
    world.open_events = 1;
    (void)strcpy(world.task_state, "image_pending_upload");
    live_again();
    assert_int_equal(world.n_snapshots, 0); /* the fixture's server has no volumes */
    assert_active();
}

static atomic_bool uploading;

static void upload_until_the_end(void)
{
    struct error ignored = ERROR_INIT;
    atomic_store(&uploading, true);
    while (cancel_check(&ignored) == 0)
        (void)poll(NULL, 0, 1);
}

static void cancel(struct agent *of, enum shutdown_whom whom)
{
    struct error reason = ERROR_INIT;
    shutdown_reason(&reason);
    (void)canceller_cancel_all(
        of->canceller, whom == SHUTDOWN_WAITING ? CANCELLER_WAITING : CANCELLER_ALL, &reason);
}

static bool at_once(void *arg)
{
    (void)arg;
    return true;
}

/* nova-compute may not meet what the next start goes on with. */
static void what_waits_behind_it_stays_too(void **state)
{
    (void)state;
    const struct shutdown_ops ops = {.cancel = cancel, .hurry = at_once};
    script.entries = entries = json_pack("[{s:s}]", "step", "begin");
    fake_driver_set_script(agent.driver, &script);
    world.on_upload = upload_until_the_end;
    atomic_store(&uploading, false);
    arrive(FIXTURE_IMAGE);
    for (unsigned ms = 0; !atomic_load(&uploading) && ms < 20000; ms++)
        (void)poll(NULL, 0, 1);
    arrive(OTHER_IMAGE);
    assert_true(shutdown_run(&agent, &ops));
    assert_int_equal(n_handed_back, 0);
    assert_nothing_was_lost("image_uploading");
    assert_int_equal(world.open_events--, 1); /* for the next start to finish */
    assert_int_equal(state_dir_clear("journal"), 2);
    state_dir_make_folder("journal");
}

static bool at_leisure(void *arg)
{
    (void)arg;
    return false;
}

/* Its first state is there, but conductor does not tell whose it is. */
static void a_first_state_nobody_judges_is_left_for_the_next_start(void **state)
{
    (void)state;
    const struct shutdown_ops ops = {.cancel = cancel, .hurry = at_leisure};
    conf.DEFAULT.graceful_shutdown_timeout = 4;
    world.repeated_save = "image_snapshot";
    world.silent_actions = UINT_MAX;
    fake_driver_set_script(agent.driver, &script);
    arrive(FIXTURE_IMAGE);
    for (unsigned ms = 0; world.silent_actions == UINT_MAX && ms < 20000; ms++)
        (void)poll(NULL, 0, 1);
    assert_true(shutdown_run(&agent, &ops));
    assert_int_equal(n_handed_back, 0);
    assert_nothing_was_lost("image_snapshot");

    world.silent_actions = 0;
    shutdown_free(agent.shutdown);
    assert_int_equal(shutdown_new(&agent.shutdown, &err), 0);
    live_again();
    assert_active();
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_workers, teardown_workers)
    const struct CMUnitTest tests[] = {
        TEST(a_copy_is_begun_again),
        TEST(an_image_is_left_for_the_next_start),
        TEST(a_stream_is_begun_again),
        TEST(an_upload_that_glance_clears_up_is_waited_for),
        TEST(data_nobody_can_verify_is_not_kept),
        TEST(a_death_is_no_end),
        TEST(a_death_before_the_guest_is_touched_again_is_no_failure),
        TEST(many_ends_are_no_reason_to_give_up),
        TEST(snapshots_of_volumes_are_made_again),
        TEST(what_waits_behind_it_stays_too),
        TEST(a_first_state_nobody_judges_is_left_for_the_next_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
