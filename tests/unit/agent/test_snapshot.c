/* SPDX-License-Identifier: Apache-2.0 */
/* agent/snapshot.c: the whole operation on a root disk. */
#include <poll.h>
#include <sched.h>

#include "agent/dispatch.h"
#include "agent/operation.h"
#include "agent/preflight.h"
#include "common/log.h"
#include "common/metric.h"
#include "world.h"

static void serve(struct rpc_request *request)
{
    snapshot_serve(HANDED_OVER(request, state_dir_record(request)));
}

static void snapshot(void)
{
    fake_driver_set_script(agent.driver, &script);
    serve(fixture_request());
}

static unsigned n_set_again; /* so often the log said that a cleared state is */

void __real_log_write(enum log_level level, const struct log_place *place, const char *format, ...);
void __wrap_log_write(enum log_level level, const struct log_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void __wrap_log_write(enum log_level level, const struct log_place *place, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    if (strstr(text, "setting it again"))
        n_set_again++;
    __real_log_write(level, place, "%s", text);
}

/* Image gone, state clear, fault and event tell the truth. */
static void assert_failed(void)
{
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "");
    assert_string_equal(world.fault, "told to fail");
    assert_non_null(strstr(world.story, "event_error"));
    assert_non_null(strstr(world.story, " snapshot_instance compute.exception "));
    assert_null(strstr(world.story, "snapshot.end"));
}

static void tells_novas_story(void **state)
{
    (void)state;
    snapshot();
    assert_string_equal(
        world.story,
        "event_start state:image_snapshot power:1 compute.instance.snapshot.start "
        "instance.snapshot.start state:image_pending_upload state:image_uploading patch put:5 "
        "state: compute.instance.snapshot.end instance.snapshot.end event_success ");
    assert_int_equal(world.image, ACTIVE);
    json_t *expected =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "disk_format", "qcow2", "container_format",
                  "bare", "image_location", "snapshot", "image_state", "available", "owner_id",
                  "724d89e14f564a118d7fbd7fc5b4565b", "kernel_id", "", "ramdisk_id", "");
    assert_json_equal(world.attributes, expected);
    json_decref(expected);
}

/* Whatever it comes to; the request of the fixture says 0. */
static void the_progress_is_put_back(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        conf.snapshot_agent.report_progress = i != 2;
        if (i == 1)
            world.fail_upload = failure(EIO, EXC_INTERNAL_ERROR);
        snapshot();
        if (i == 2) {
            assert_null(world.progress);
        } else {
            assert_int_equal(json_integer_value(world.progress), 0);
            assert_true(json_is_integer(world.progress));
        }
        assert_null(strstr(world.story, "progress"));
        (void)teardown(state);
        (void)setup(state);
    }
}

/* The state is the stop's then, the progress is not. */
static void the_progress_is_put_back_beside_another_state(void **state)
{
    (void)state;
    conf.snapshot_agent.report_progress = true;
    world.when_saving = "image_uploading";
    world.state_before_save = "powering-off";
    snapshot();
    assert_string_equal(world.task_state, "powering-off");
    assert_non_null(strstr(world.story, "progress"));
    assert_true(json_is_integer(world.progress));

    (void)teardown(state);
    (void)setup(state);
    conf.snapshot_agent.report_progress = true;
    script.errors[FAKE_EXTRACT] = failure(EIO, EXC_INTERNAL_ERROR);
    world.when_saving = ""; /* just before a failure clears its own */
    world.state_before_save = "powering-off";
    snapshot();
    assert_string_equal(world.task_state, "powering-off");
    assert_non_null(strstr(world.story, "conflict: progress"));
}

static void each_failing_step_leaves_nothing(void **state)
{
    for (int step = 0; step < 7; step++) {
        struct error *errors[] = {&world.fail_get,
                                  &world.fail_update,
                                  &world.fail_upload,
                                  &script.errors[FAKE_GET_POWER_STATE],
                                  &script.errors[FAKE_INSPECT],
                                  &script.errors[FAKE_EXTRACT],
                                  &world.fail_event_start};
        (void)teardown(state);
        (void)setup(state);
        *errors[step] = failure(EIO, EXC_INTERNAL_ERROR);
        snapshot();
        assert_int_equal(world.image, DELETED);
        assert_string_equal(world.task_state, "");
        assert_string_equal(world.fault, "told to fail");
        if (errors[step] != &world.fail_event_start)
            assert_failed();
    }
}

static void formats_decide_who_is_notified(void **state)
{
    static char unversioned[] = "unversioned";
    conf.notifications.notification_format = unversioned;
    snapshot();
    assert_null(strstr(world.story, " instance.snapshot"));
    assert_non_null(strstr(world.story, "compute.instance.snapshot.end"));
    (void)teardown(state);
    (void)setup(state);
    static char *none[] = {NULL};
    conf.oslo_messaging_notifications.driver = none;
    snapshot();
    assert_null(strstr(world.story, "snapshot.start"));
    assert_int_equal(world.image, ACTIVE);
}

static void a_failing_notification_is_no_failure(void **state)
{
    (void)state;
    world.fail_notify = failure(ETIMEDOUT, EXC_MESSAGING_TIMEOUT);
    snapshot();
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
    assert_non_null(strstr(world.story, "event_success"));
}

static void deletion_meanwhile_ends_quietly(void **state)
{
    static const char *const when[] = {"image_snapshot", "image_pending_upload", "image_uploading"};
    for (size_t i = 0; i < sizeof(when) / sizeof(when[0]); i++) {
        (void)teardown(state);
        (void)setup(state);
        world.when_saving = when[i];
        world.state_before_save = "deleting";
        snapshot();
        assert_int_equal(world.image, DELETED);
        assert_string_equal(world.task_state, "deleting");
        assert_string_equal(world.fault, "");
        assert_non_null(strstr(world.story, "event_success"));
    }
}

static void deletion_after_the_upload_keeps_the_image(void **state)
{
    (void)state;
    world.when_saving = "";
    world.state_before_save = "deleting";
    snapshot();
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "deleting");
    assert_non_null(strstr(world.story, "event_success"));
}

static void a_foreign_state_is_left_alone(void **state)
{
    (void)state;
    world.when_saving = "image_snapshot";
    world.state_before_save = "rebuilding";
    snapshot();
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "rebuilding");
    assert_non_null(strstr(world.story, "fault event_error"));
}

/* nova-compute clears the state of a snapshot that runs when it starts. */
static void a_cleared_state_is_saved_again(void **state)
{
    static const char *const when[] = {"image_snapshot", "image_pending_upload", "image_uploading",
                                       ""};
    for (size_t i = 0; i < sizeof(when) / sizeof(when[0]); i++) {
        (void)teardown(state);
        (void)setup(state);
        world.when_saving = when[i];
        world.state_before_save = "";
        n_set_again = 0;
        snapshot();
        assert_int_equal(n_set_again, when[i][0] != '\0');
        assert_int_equal(world.image, ACTIVE);
        assert_string_equal(world.task_state, "");
        assert_string_equal(world.fault, "");
        assert_non_null(strstr(world.story, "event_success"));
        assert_non_null(strstr(world.story, "snapshot.end"));
    }
}

/* And that save is executed and refused. */
static void a_cleared_state_that_is_saved_twice_is_ours(void **state)
{
    static const char *const when[] = {"image_snapshot", "image_pending_upload", "image_uploading"};
    for (size_t i = 0; i < 2 * ARRAY_SIZE(when); i++) {
        bool shared = i >= ARRAY_SIZE(when);
        (void)teardown(state);
        (void)setup(state);
        world.when_saving = world.repeated_save = when[i % ARRAY_SIZE(when)];
        world.state_before_save = "";
        world.others_events = shared;
        snapshot();
        assert_null(world.repeated_save);
        assert_int_equal(world.image == ACTIVE, !shared);
        assert_string_equal(world.task_state, shared ? when[i % ARRAY_SIZE(when)] : "");
    }
}

static void a_cleared_state_is_no_failure_of_a_failed_snapshot(void **state)
{
    (void)state;
    world.fail_upload = failure(EIO, EXC_INTERNAL_ERROR);
    world.when_saving = "image_uploading";
    world.state_before_save = "";
    snapshot();
    assert_failed();
}

static void a_request_served_before_loses_nothing(void **state)
{
    (void)state;
    world.image = ACTIVE;
    (void)strcpy(world.task_state, "");
    snapshot();
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
    assert_non_null(strstr(world.story, "event_error"));
}

/* nova-compute, whom the broker gave the request as well, was faster: its image is queued still. */
static void an_image_that_another_fills_is_left_alone(void **state)
{
    static const char *const states[] = {"image_snapshot", "image_pending_upload",
                                         "image_uploading"};
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        (void)teardown(state);
        (void)setup(state);
        (void)strcpy(world.task_state, states[i]);
        world.others_events = 1;
        snapshot();
        assert_int_equal(world.image, QUEUED);
        assert_string_equal(world.task_state, states[i]);
        assert_non_null(strstr(world.story, "event_error"));
    }
}

/* Cleared by its start, and asked for again: nova-compute is at that one. */
static void the_state_of_another_request_is_left_alone(void **state)
{
    (void)state;
    (void)strcpy(world.task_state, "image_snapshot");
    world.is_asked_again = true;
    snapshot();
    assert_int_equal(world.image, QUEUED);
    assert_string_equal(world.task_state, "image_snapshot");
}

/* The broker had not seen the ack of the save, and its first answer was lost. */
static void a_save_that_was_executed_and_refused_is_ours(void **state)
{
    static const char *const saves[] = {"image_snapshot", "image_pending_upload", "image_uploading",
                                        ""};
    for (size_t i = 0; i < sizeof(saves) / sizeof(saves[0]); i++) {
        (void)teardown(state);
        (void)setup(state);
        world.repeated_save = saves[i];
        world.silent_actions = 1; /* conductor is slow, hence the save was sent twice */
        n_set_again = 0;
        snapshot();
        assert_int_equal(n_set_again, 0);
        assert_null(world.repeated_save);
        assert_int_equal(world.image, ACTIVE);
        assert_string_equal(world.task_state, "");
        assert_string_equal(world.fault, "");
        assert_non_null(strstr(world.story, "snapshot.end"));
        assert_non_null(strstr(world.story, "event_success"));
    }
}

/* Nova's record could not be read just then: what is given up is not left in its state. */
static void a_state_nobody_could_judge_is_cleared_at_the_end(void **state)
{
    static const char *const saves[] = {"image_snapshot", "image_pending_upload"};
    for (size_t i = 0; i < ARRAY_SIZE(saves); i++) {
        (void)teardown(state);
        (void)setup(state);
        world.repeated_save = saves[i];
        world.silent_actions = 1;
        world.fail_actions = failure(EIO, EXC_INTERNAL_ERROR);
        snapshot();
        assert_int_equal(world.silent_actions, 0);
        assert_int_equal(world.image, DELETED);
        assert_string_equal(world.task_state, "");
        assert_non_null(strstr(world.story, "event_error"));
    }
}

/* Cleared and asked for again meanwhile: nova-compute is at that one, as far as this one was. */
static void a_later_state_of_another_request_is_not_ours(void **state)
{
    static const char *const saves[] = {"image_pending_upload", "image_uploading"};
    for (size_t i = 0; i < ARRAY_SIZE(saves); i++) {
        (void)teardown(state);
        (void)setup(state);
        world.when_saving = world.state_before_save = saves[i];
        world.is_asked_again = true;
        snapshot();
        assert_int_equal(world.image, DELETED);
        assert_string_equal(world.task_state, saves[i]);
        assert_null(strstr(world.story, "put:"));
        assert_non_null(strstr(world.story, "event_error"));
    }
}

/* No answer came at all: the state may be nova-compute's, which has the same request. */
static void a_state_that_may_be_anothers_is_not_cleared(void **state)
{
    (void)state;
    world.silent_saves = 3;
    world.when_saving = world.state_before_save = "image_snapshot";
    world.others_events = 1;
    snapshot();
    assert_int_equal(world.image, QUEUED);
    assert_string_equal(world.task_state, "image_snapshot");
    assert_non_null(strstr(world.story, "event_error"));
}

/* The same of a failed snapshot's last save. */
static void a_failure_whose_last_save_is_refused_is_told(void **state)
{
    (void)state;
    world.fail_upload = failure(EIO, EXC_INTERNAL_ERROR);
    world.repeated_save = "";
    snapshot();
    assert_failed();
}

/* No answer came, and nova-compute was faster. */
static void a_save_without_answer_is_not_taken_for_ours(void **state)
{
    (void)state;
    world.silent_saves = 1;
    world.when_saving = "image_snapshot";
    world.state_before_save = "image_snapshot_pending";
    world.state_after_save = "image_snapshot";
    world.others_events = 1;
    snapshot();
    assert_int_equal(world.image, QUEUED);
    assert_string_equal(world.task_state, "image_snapshot");
}

static void a_reset_after_the_upload_keeps_the_image(void **state)
{
    (void)state;
    world.when_saving = "";
    world.state_before_save = "rescuing";
    snapshot();
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "rescuing");
}

static void a_missing_domain_is_told_and_not_stuck(void **state)
{
    (void)state;
    script.errors[FAKE_INSPECT] = failure(ENOENT, EXC_INSTANCE_NOT_RUNNING);
    snapshot();
    assert_failed();
}

static void a_vanished_instance_is_nobodys_failure(void **state)
{
    (void)state;
    script.errors[FAKE_EXTRACT] = failure(ENOENT, EXC_INSTANCE_NOT_FOUND);
    world.when_saving = "";
    world.state_before_save = "deleting";
    snapshot();
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.fault, "");
    assert_non_null(strstr(world.story, "event_success"));
}

static void a_deleted_image_frees_the_server(void **state)
{
    (void)state;
    world.fail_upload = failure(ENOENT, EXC_IMAGE_NOT_FOUND);
    world.fail_delete = failure(ENOENT, EXC_IMAGE_NOT_FOUND);
    snapshot();
    assert_string_equal(world.task_state, "");
    assert_string_equal(world.fault, "");
    assert_non_null(strstr(world.story, "event_success"));
}

/* Waits inside the driver until the work is cancelled, as the copy of a large disk would. */
static void wait_for_cancellation(void)
{
    struct pollfd cancelled = {.fd = cancel_fd(), .events = POLLIN};
    assert_int_equal(poll(&cancelled, 1, 20000), 1);
}

static void delete_image_meanwhile(enum fake_call call, const char *uuid, void *userdata)
{
    (void)uuid, (void)userdata;
    if (call != FAKE_EXTRACT)
        return;
    atomic_store(&image_is_gone, true);
    wait_for_cancellation();
}

static void an_image_deleted_meanwhile_cancels_the_copy(void **state)
{
    (void)state;
    script.on_call = delete_image_meanwhile;
    world.fail_delete = failure(ENOENT, EXC_IMAGE_NOT_FOUND);
    snapshot();
    assert_null(strstr(world.story, "put:"));
    assert_string_equal(world.task_state, "");
    assert_string_equal(world.fault, "");
    assert_non_null(strstr(world.story, "event_success"));
    assert_int_equal(cancel_fd(), -1);
}

/* nova-api has set the task state, nova-compute is told through the same queue. */
static void delete_instance_meanwhile(enum fake_call call, const char *uuid, void *userdata)
{
    (void)uuid;
    if (call != FAKE_EXTRACT)
        return;
    struct rpc_request *request = fixture_request();
    free(request->method);
    request->method = strdup(userdata);
    (void)strcpy(world.task_state, "deleting");
    assert_int_equal(dispatch_ops.accept(&agent, request), RPC_PUT_BACK);
    rpc_request_free(request);
    wait_for_cancellation();
}

static void a_server_deleted_meanwhile_cancels_the_copy(void **state)
{
    static char terminate[] = "terminate_instance", soft_delete[] = "soft_delete_instance";
    (void)state;
    script.on_call = delete_instance_meanwhile;
    script.userdata = terminate;
    snapshot();
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "deleting");
    assert_string_equal(world.fault, "");
    assert_non_null(strstr(world.story, "event_success"));

    (void)teardown(state);
    (void)setup(state);
    script.on_call = delete_instance_meanwhile;
    script.userdata = soft_delete;
    snapshot();
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "deleting"); /* whatever it is: not ours */
    assert_non_null(strstr(world.story, "fault event_error"));
}

static void cancel_as_operator(enum fake_call call, const char *uuid, void *userdata)
{
    (void)uuid, (void)userdata;
    if (call != FAKE_EXTRACT)
        return;
    assert_int_equal(canceller_image_unwanted(agent.canceller, FIXTURE_IMAGE), 1);
    wait_for_cancellation();
}

static enum metric_outcome outcome;
static unsigned n_outcomes, n_suspicions;

void __real_operation_log_summary(struct operation *op, enum metric_outcome of, const char *text);
void __wrap_operation_log_summary(struct operation *op, enum metric_outcome of, const char *text);
void __wrap_operation_log_summary(struct operation *op, enum metric_outcome of, const char *text)
{
    outcome = of;
    n_outcomes++;
    __real_operation_log_summary(op, of, text);
}

void __wrap_preflight_suspect(struct preflight *preflight);
void __wrap_preflight_suspect(struct preflight *preflight)
{
    (void)preflight;
    n_suspicions++;
}

/* It is told as a failure is, for the tenant has no image; but nothing is wrong with the host. */
static void what_an_operator_cancels_has_not_failed(void **state)
{
    (void)state;
    n_outcomes = n_suspicions = 0;
    script.on_call = cancel_as_operator;
    snapshot();
    assert_int_equal(world.image, DELETED);
    assert_non_null(strstr(world.story, "fault event_error"));
    assert_int_equal(n_outcomes, 1);
    assert_int_equal(outcome, METRIC_UNWANTED);
    assert_int_equal(n_suspicions, 0);

    (void)teardown(state);
    (void)setup(state);
    script.errors[FAKE_EXTRACT] = failure(EIO, EXC_INTERNAL_ERROR);
    snapshot();
    assert_int_equal(n_outcomes, 2);
    assert_int_equal(outcome, METRIC_FAILED);
    assert_int_equal(n_suspicions, 1);
}

/* What fails because of it does not hide it. */
static void the_reason_of_a_cancellation_is_told(void **state)
{
    (void)state;
    script.on_call = delete_image_meanwhile;
    script.errors[FAKE_EXTRACT] = failure(EIO, EXC_INTERNAL_ERROR);
    snapshot();
    assert_string_equal(world.fault, "");
    assert_string_equal(world.task_state, "");
    assert_non_null(strstr(world.story, "event_success"));
}

/* As the driver asks before it starts a guest that was down for the copy. */
static void ask_whether_to_run(enum fake_call call, const char *uuid, void *userdata)
{
    (void)uuid;
    struct fake_record record;
    if (call != FAKE_EXTRACT)
        return;
    fake_driver_get_record(agent.driver, &record);
    *(bool *)userdata = record.plan.owner->guest_is_to_run(record.plan.owner->arg);
}

/* Possible only while nova-compute has cleared the task state. */
static void a_guest_that_was_stopped_meanwhile_stays_off(void **state)
{
    static const struct {
        const char *vm_state, *task_state;
        bool is_to_run;
    } rows[] = {
        {"active", "image_pending_upload", true},
        {"active", "", true},
        {"stopped", "", false},
        {"active", "powering-off", false},
        {"suspended", "", false},
        {"soft-delete", "", false},
        {"active", "reboot_started_hard", true},
        {"active", "deleting", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        (void)teardown(state);
        (void)setup(state);
        bool is_to_run = !rows[i].is_to_run;
        recovery_bus_is_started(agent.recovery);
        script.on_call = ask_whether_to_run;
        script.userdata = &is_to_run;
        world.vm_state = rows[i].vm_state;
        world.when_saving = "image_pending_upload"; /* the last state before */
        world.state_before_save = "image_snapshot";
        world.state_after_save = rows[i].task_state;
        snapshot();
        assert_int_equal(is_to_run, rows[i].is_to_run);
    }
}

/* The server was stopped, and its state is None or ours again. The copy ends well all the same. */
static void lose_state_meanwhile(enum fake_call call, const char *uuid, void *userdata)
{
    (void)uuid;
    if (call != FAKE_EXTRACT)
        return;
    (void)strcpy(world.task_state, userdata);
    assert_int_equal(canceller_instance_deleted(agent.canceller, FIXTURE_INSTANCE, true), 1);
}

static void what_lost_its_state_saves_no_other(void **state)
{
    static char states[][24] = {"", "image_pending_upload"};
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        (void)teardown(state);
        (void)setup(state);
        script.on_call = lose_state_meanwhile;
        script.userdata = states[i];
        snapshot();
        assert_int_equal(world.image, DELETED);
        assert_string_equal(world.task_state, "");
        assert_null(strstr(world.story, "image_uploading"));
        assert_non_null(strstr(world.story, "fault event_error"));
    }
}

static void *serve_in_thread(void *arg)
{
    serve(arg);
    return NULL;
}

static void what_waits_for_a_slot_can_be_cancelled(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct error ends = failure(ECANCELED, EXC_INTERNAL_ERROR);
    pthread_t thread;
    fake_driver_set_script(agent.driver, &script);
    assert_int_equal(slots_acquire(agent.snapshot_slots, &err), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve_in_thread, fixture_request()), 0);
    while (canceller_cancel_all(agent.canceller, CANCELLER_WAITING, &ends) == 0)
        (void)sched_yield();
    assert_int_equal(pthread_join(thread, NULL), 0);
    slots_release(agent.snapshot_slots);
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "");
    assert_string_equal(world.fault, "told to fail");
    assert_null(strstr(world.story, "event")); /* nobody had seen it begin */
}

static void silence_of_the_conductor_is_survived(void **state)
{
    (void)state;
    world.silent_saves = 2;
    snapshot();
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
}

static void a_save_without_answer_is_reverted_whatever_it_did(void **state)
{
    (void)state;
    /* Three executed saves without an answer: the state is one further than we know. */
    world.silent_saves = 3;
    snapshot();
    assert_string_equal(world.task_state, "");
    assert_int_equal(world.image, DELETED);
    assert_non_null(strstr(world.story, "event_error"));
}

static void arguments_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}", "{\"image_id\": 7}", "{\"image_id\": \"../x\"}",
        "{\"image_id\": \"e5a20dc3-b3eb-4dcf-b1be-b0cc75cf15ed\"}",
        "{\"image_id\": \"e5a20dc3-b3eb-4dcf-b1be-b0cc75cf15ed\", \"instance\": []}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = ERROR_INIT;
        struct rpc_request *request = fixture_request();
        json_decref(request->args);
        request->args = json_loads(bad[i], 0, NULL);
        assert_true(snapshot_check(request, &err) < 0);
        assert_string_not_equal(err.message, "");
        serve(request);
        assert_string_equal(world.story, "");
    }
    assert_int_equal(state_dir_clear("journal"), 5); /* set aside */
    state_dir_make_folder("journal");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(tells_novas_story),
        TEST(the_progress_is_put_back),
        TEST(the_progress_is_put_back_beside_another_state),
        TEST(each_failing_step_leaves_nothing),
        TEST(formats_decide_who_is_notified),
        TEST(a_failing_notification_is_no_failure),
        TEST(deletion_meanwhile_ends_quietly),
        TEST(deletion_after_the_upload_keeps_the_image),
        TEST(a_foreign_state_is_left_alone),
        TEST(a_cleared_state_is_saved_again),
        TEST(a_cleared_state_that_is_saved_twice_is_ours),
        TEST(a_cleared_state_is_no_failure_of_a_failed_snapshot),
        TEST(a_request_served_before_loses_nothing),
        TEST(an_image_that_another_fills_is_left_alone),
        TEST(the_state_of_another_request_is_left_alone),
        TEST(a_save_that_was_executed_and_refused_is_ours),
        TEST(a_state_nobody_could_judge_is_cleared_at_the_end),
        TEST(a_later_state_of_another_request_is_not_ours),
        TEST(a_state_that_may_be_anothers_is_not_cleared),
        TEST(a_failure_whose_last_save_is_refused_is_told),
        TEST(a_save_without_answer_is_not_taken_for_ours),
        TEST(a_reset_after_the_upload_keeps_the_image),
        TEST(a_missing_domain_is_told_and_not_stuck),
        TEST(a_vanished_instance_is_nobodys_failure),
        TEST(a_deleted_image_frees_the_server),
        TEST(silence_of_the_conductor_is_survived),
        TEST(a_save_without_answer_is_reverted_whatever_it_did),
        TEST(arguments_are_checked),
        TEST(an_image_deleted_meanwhile_cancels_the_copy),
        TEST(a_server_deleted_meanwhile_cancels_the_copy),
        TEST(what_an_operator_cancels_has_not_failed),
        TEST(the_reason_of_a_cancellation_is_told),
        TEST(a_guest_that_was_stopped_meanwhile_stays_off),
        TEST(what_lost_its_state_saves_no_other),
        TEST(what_waits_for_a_slot_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
