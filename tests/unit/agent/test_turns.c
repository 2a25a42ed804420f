/* SPDX-License-Identifier: Apache-2.0 */
/* agent/dispatch.c and what it starts: two requests on one instance. */
#include <poll.h>
#include <sched.h>

#include "agent/dispatch.h"
#include "agent/recover.h"
#include "bus_state.h"
#include "common/clock.h"
#include "world.h"

#define VOLUME "223d2b54-3bfe-4781-af2b-76e3fdf957b1"
#define SNAPSHOT "16fab726-8b6d-46a2-90b4-af0d3a5a44f7"

static atomic_uint inside, most, served;
static atomic_bool held; /* what the driver does does not end */

/* What changes a guest must have it for itself. */
static void enter_guest(enum fake_call call, const char *uuid, void *userdata)
{
    (void)uuid, (void)userdata;
    if (call == FAKE_GET_POWER_STATE || call == FAKE_INSPECT || call == FAKE_THAW)
        return;
    unsigned now = atomic_fetch_add(&inside, 1) + 1;
    if (now > atomic_load(&most))
        atomic_store(&most, now);
    do
        (void)poll(NULL, 0, 20); /* for another to come */
    while (atomic_load(&held));
    (void)atomic_fetch_sub(&inside, 1);
    (void)atomic_fetch_add(&served, 1);
}

static int setup_workers(void **state)
{
    static char standard[] = "default", shared[] = "shared";
    struct error err = ERROR_INIT;
    (void)setup(state);
    atomic_store(&inside, 0);
    atomic_store(&most, 0);
    atomic_store(&served, 0);
    atomic_store(&held, false);
    bus_state.connected = bus_state.attached = bus_state.given_out = true;
    bus_state.drained = false;
    recovery_bus_is_started(agent.recovery);
    slots_set_limit(agent.snapshot_slots, 8);
    slots_set_limit(agent.disk_op_slots, 8);
    conf.libvirt.images_type = standard;
    conf.snapshot_agent.attach = shared;
    conf.DEFAULT.rpc_response_timeout = 40;
    world.mappings = json_pack("[{s:s, s:s, s:s}]", "volume_id", VOLUME, "attachment_id",
                               "c3e4d845-c1d6-4738-b306-6d48726104df", "connection_info", "{}");
    script.on_call = enter_guest;
    fake_driver_set_script(agent.driver, &script);
    return workers_new(8, &agent.workers, &err);
}

static int teardown_workers(void **state)
{
    atomic_store(&held, false);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    workers_free(agent.workers);
    return teardown(state);
}

static struct rpc_request *request_of(const char *method)
{
    struct rpc_request *request = fixture_request();
    json_t *data = json_object_get(json_object_get(request->args, "instance"), "nova_object.data");
    free(request->method);
    request->method = strdup(method);
    (void)json_object_set_new(data, "system_metadata",
                              json_pack("{s:s}", "image_hw_qemu_guest_agent", "yes"));
    (void)json_object_set_new(request->args, "volume_id", json_string(VOLUME));
    (void)json_object_set_new(request->args, "snapshot_id", json_string(SNAPSHOT));
    (void)json_object_set_new(
        request->args, "create_info",
        json_pack("{s:s, s:s, s:s}", "type", "qcow2", "new_file", "v.1", "snapshot_id", SNAPSHOT));
    (void)json_object_set_new(request->args, "delete_info", json_pack("{s:s}", "type", "qcow2"));
    (void)json_object_set_new(request->args, "backup_type", json_string("daily"));
    (void)json_object_set_new(request->args, "rotation", json_integer(1));
    return request;
}

/* As the bus does it. */
static void arrive(struct rpc_request *request)
{
    void *claim = NULL;
    assert_int_equal(dispatch_ops.accept(&agent, request), RPC_SERVE);
    assert_true(dispatch_ops.write_down(&agent, request, &claim));
    dispatch_ops.serve(&agent, request, claim);
}

static void await_inside(void)
{
    for (unsigned ms = 0; atomic_load(&inside) == 0 && ms < 20000; ms++)
        (void)poll(NULL, 0, 1);
    assert_int_equal(atomic_load(&inside), 1);
}

static struct fake_record record(void)
{
    struct fake_record record;
    fake_driver_get_record(agent.driver, &record);
    return record;
}

static void what_changes_a_guest_has_it_alone(void **state)
{
    (void)state;
    arrive(request_of("snapshot_instance"));
    arrive(request_of("volume_snapshot_create"));
    arrive(request_of("volume_snapshot_delete"));
    arrive(request_of("volume_snapshot_create"));
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(atomic_load(&most), 1);
    assert_int_equal(atomic_load(&served), 4);
    assert_string_equal(world.statuses, "creating deleting creating ");
    assert_int_equal(world.image, ACTIVE);
}

/* nova-compute was restarted between the two: it cleared the state the first one had set. */
static struct rpc_request *second_snapshot(void)
{
    struct rpc_request *request = request_of("snapshot_instance");
    (void)json_object_set_new(request->args, "image_id", json_string(OTHER_IMAGE));
    return request;
}

static void await_workers(unsigned n)
{
    for (unsigned ms = 0; workers_running(agent.workers) != n && ms < 20000; ms++)
        (void)poll(NULL, 0, 1);
    assert_int_equal(workers_running(agent.workers), n);
}

static void two_snapshots_end_well(void **state)
{
    (void)state;
    atomic_store(&held, true);
    arrive(request_of("snapshot_instance"));
    await_inside();
    (void)strcpy(world.task_state, "image_snapshot_pending"); /* of the second one */
    arrive(second_snapshot());
    atomic_store(&held, false);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(atomic_load(&most), 1);
    assert_int_equal(record().calls[FAKE_EXTRACT], 2);
    assert_string_equal(world.task_state, "");
    assert_string_equal(world.fault, "");
    assert_string_equal(world.deleted, "");
}

/* nova-api read that of the second one from the database while the first one showed its own. */
static void the_second_puts_back_the_progress_before_the_first(void **state)
{
    struct rpc_request *second = second_snapshot();
    json_t *instance = json_object_get(second->args, "instance");
    (void)json_object_set_new(json_object_get(instance, "nova_object.data"), "progress",
                              json_integer(60));
    (void)state;
    conf.snapshot_agent.report_progress = true;
    atomic_store(&held, true);
    arrive(request_of("snapshot_instance"));
    await_inside();
    (void)strcpy(world.task_state, "image_snapshot_pending"); /* of the second one */
    arrive(second);
    atomic_store(&held, false);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_string_equal(world.task_state, "");
    assert_non_null(strstr(world.story, "conflict: progress ")); /* beside the second one's state */
    assert_true(json_is_integer(world.progress));
    assert_int_equal(json_integer_value(world.progress), 0);
}

static void a_deleted_image_cancels_what_waits(void **state)
{
    (void)state;
    atomic_store(&held, true);
    arrive(request_of("snapshot_instance"));
    await_inside();
    arrive(second_snapshot());
    atomic_store(&other_image_is_gone, true);
    await_workers(1);
    atomic_store(&held, false);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(record().calls[FAKE_EXTRACT], 1);
    assert_int_equal(world.image, ACTIVE);
}

static void a_deleted_server_cancels_what_waits(void **state)
{
    (void)state;
    struct rpc_request *terminate = request_of("terminate_instance");
    atomic_store(&held, true);
    arrive(request_of("snapshot_instance"));
    await_inside();
    arrive(second_snapshot());
    while (canceller_instance_deleted(agent.canceller, FIXTURE_INSTANCE, false) < 2)
        (void)sched_yield();
    assert_int_equal(dispatch_ops.accept(&agent, terminate), RPC_PUT_BACK);
    rpc_request_free(terminate);
    await_workers(1);
    atomic_store(&held, false);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(record().calls[FAKE_EXTRACT], 1);
}

static atomic_uint handed_back;

int __wrap_rpc_hand_back(struct bus *bus, const struct rpc_request *request, struct error *err);

int __wrap_rpc_hand_back(struct bus *bus, const struct rpc_request *request, struct error *err)
{
    (void)bus, (void)request, (void)err;
    assert_int_equal(atomic_load(&inside), 0);
    (void)atomic_fetch_add(&handed_back, 1);
    return 0;
}

void __wrap_bus_detach(struct bus *bus);

void __wrap_bus_detach(struct bus *bus)
{
    (void)bus;
}

static void cancel_for_the_end(struct agent *a, enum shutdown_whom whom)
{
    struct error ends = failure(ECANCELED, EXC_INTERNAL_ERROR);
    (void)canceller_cancel_all(a->canceller,
                               whom == SHUTDOWN_WAITING ? CANCELLER_WAITING : CANCELLER_ALL, &ends);
}

/* The agent's end lets the guest go after a while. */
static bool let_go(void *looks)
{
    if (++*(unsigned *)looks == 3)
        atomic_store(&held, false);
    return false;
}

/* nova-compute gets what waits, but not while the guest is in the hands of another request. */
static void what_waits_for_its_turn_is_handed_back_at_its_turn(void **state)
{
    (void)state;
    unsigned looks = 0;
    const struct shutdown_ops ops = {cancel_for_the_end, let_go, &looks};
    conf.DEFAULT.graceful_shutdown_timeout = 60;
    slots_set_limit(agent.snapshot_slots, 1);
    atomic_store(&handed_back, 0);
    atomic_store(&held, true);
    arrive(request_of("snapshot_instance"));
    await_inside();
    arrive(second_snapshot());
    assert_true(shutdown_run(&agent, &ops));
    assert_int_equal(atomic_load(&handed_back), 1);
    assert_int_equal(record().calls[FAKE_EXTRACT], 1);
    assert_int_equal(world.image, ACTIVE);
}

static void cinder_hears_in_time_of_what_waits_too_long(void **state)
{
    (void)state;
    conf.snapshot_agent.volume_snapshot_timeout = 0;
    atomic_store(&held, true);
    arrive(request_of("snapshot_instance"));
    await_inside();
    arrive(request_of("volume_snapshot_create"));
    await_workers(1);
    assert_string_equal(world.statuses, "error ");
    arrive(request_of("volume_snapshot_delete"));
    await_workers(1);
    assert_string_equal(world.statuses, "error error_deleting ");
    atomic_store(&held, false);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(record().calls[FAKE_VOLUME_SNAPSHOT_CREATE], 0);
    assert_int_equal(record().calls[FAKE_VOLUME_SNAPSHOT_DELETE], 0);
}

static void a_freeze_does_not_meet_a_snapshot(void **state)
{
    (void)state;
    conf.DEFAULT.rpc_response_timeout = 0; /* the caller does not wait */
    atomic_store(&held, true);
    arrive(request_of("snapshot_instance"));
    await_inside();
    arrive(request_of("quiesce_instance"));
    await_workers(1);
    assert_non_null(strstr(world.story, "fail:InternalError"));
    assert_int_equal(record().calls[FAKE_FREEZE], 0);

    conf.DEFAULT.rpc_response_timeout = 40; /* it does */
    arrive(request_of("quiesce_instance"));
    atomic_store(&held, false);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(atomic_load(&most), 1);
    assert_non_null(strstr(world.story, " reply "));
    assert_int_equal(record().calls[FAKE_FREEZE], 1);
    arrive(request_of("unquiesce_instance"));
}

/* nova-api's snapshot of a server whose volumes are files: nobody waits for anybody for ever. */
static void volumes_are_snapshotted_while_the_guest_is_frozen(void **state)
{
    (void)state;
    arrive(request_of("quiesce_instance"));
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    arrive(request_of("volume_snapshot_create"));
    arrive(request_of("volume_snapshot_create"));
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_true(freezer_holds(agent.freezer, FIXTURE_INSTANCE));
    assert_string_equal(world.statuses, "creating creating ");
    arrive(request_of("unquiesce_instance"));
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_false(freezer_holds(agent.freezer, FIXTURE_INSTANCE));
}

static void a_thaw_never_waits(void **state)
{
    (void)state;
    arrive(request_of("quiesce_instance"));
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    atomic_store(&held, true);
    arrive(request_of("volume_snapshot_delete"));
    await_inside();
    arrive(request_of("unquiesce_instance"));
    await_workers(1);
    assert_false(freezer_holds(agent.freezer, FIXTURE_INSTANCE));
    atomic_store(&held, false);
}

/* The guest a snapshot meets frozen is neither frozen once more nor thawed by it. */
static void a_snapshot_leaves_a_frozen_guest_frozen(void **state)
{
    (void)state;
    arrive(request_of("quiesce_instance"));
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    arrive(request_of("snapshot_instance"));
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(world.image, ACTIVE);
    assert_false(record().plan.quiesce);
    arrive(request_of("unquiesce_instance"));
}

/* The record of a request that an earlier agent has taken, and what it noted of it. */
static void leave(struct rpc_request *request, const char *name, json_t *note)
{
    struct journal_record *record = state_dir_record(request);
    if (name)
        journal_mark(record, name, note);
    journal_leave(record);
    rpc_request_free(request);
}

/* An agent that died has left two requests: one was being served, the other waited for it. */
static void recovered_requests_keep_their_order(void **state)
{
    struct error err = ERROR_INIT;
    for (int i = 0; i < 8; i++) { /* whatever their records are called */
        (void)teardown_workers(state);
        (void)setup_workers(state);
        (void)strcpy(world.task_state, "image_snapshot_pending");
        leave(request_of("snapshot_instance"), "driver", json_object());
        leave(request_of("volume_snapshot_create"), NULL, NULL);
        leave(request_of("volume_snapshot_delete"), NULL, NULL);
        assert_int_equal(recovery_run(agent.recovery, &agent, 10000, &err), 0);
        assert_int_equal(record().calls[FAKE_RECOVER], 1);
        assert_int_equal(workers_wait(agent.workers, 60000), 0);
        assert_int_equal(atomic_load(&most), 1);
        assert_string_equal(world.statuses, "creating deleting ");
        assert_int_equal(world.image, DELETED);
        assert_string_equal(world.task_state, "");
    }
}

/* The first one has ended, and the agent then. */
static void a_later_life_knows_the_progress_before_the_first(void **state)
{
    struct error err = ERROR_INIT;
    (void)state;
    conf.snapshot_agent.report_progress = true;
    leave(request_of("snapshot_instance"), "progress", json_integer(7));
    assert_int_equal(recovery_run(agent.recovery, &agent, 10000, &err), 0);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(json_integer_value(world.progress), 7);
}

/* The broker gives a request again that the agent which died had not acked: also to this agent. */
static void what_is_delivered_again_is_served_once(void **state)
{
    struct error err = ERROR_INIT;
    struct journal_record *left = NULL;
    struct rpc_request *request = request_of("snapshot_instance");
    (void)state;
    recovery_free(agent.recovery);
    assert_int_equal(recovery_new(1000, dispatch_recover, &agent.recovery, &err), 0);
    recovery_bus_is_started(agent.recovery);
    assert_int_equal(journal_begin(state_dir.journal, request, &left, &err), 0);
    journal_leave(left);
    assert_int_equal(recovery_run(agent.recovery, &agent, 10000, &err), 0);
    arrive(request);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(record().calls[FAKE_EXTRACT], 1);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.fault, "");
    assert_null(strstr(world.story, "event_error"));
}

/* As the bus does when the connection is lost behind the ack. */
static bool arrive_in_doubt(struct rpc_request *request)
{
    void *claim = NULL;
    assert_int_equal(dispatch_ops.accept(&agent, request), RPC_SERVE);
    assert_true(dispatch_ops.write_down(&agent, request, &claim));
    if (dispatch_ops.doubt(&agent, request, claim))
        return true;
    dispatch_ops.withdraw(&agent, claim);
    rpc_request_free(request);
    return false;
}

/* Its ack has arrived: nobody else has begun it. */
static void what_is_in_doubt_and_untouched_is_served(void **state)
{
    static const struct {
        const char *method, *task_state;
    } rows[] = {{"snapshot_instance", "image_snapshot_pending"},
                {"backup_instance", "image_backup"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)teardown_workers(state);
        (void)setup_workers(state);
        (void)strcpy(world.task_state, rows[i].task_state);
        assert_true(arrive_in_doubt(request_of(rows[i].method)));
        assert_int_equal(workers_wait(agent.workers, 60000), 0);
        assert_int_equal(record().calls[FAKE_EXTRACT], 1);
        assert_int_equal(world.image, ACTIVE);
        assert_string_equal(world.task_state, "");
        assert_int_equal(atomic_load(&agent.taking), 0);
    }
}

/* Its ack never arrived: nova-compute has it, and fills the image. */
static void what_is_in_doubt_and_begun_by_another_is_left_alone(void **state)
{
    static const struct {
        const char *method, *task_state;
    } rows[] = {{"snapshot_instance", "image_snapshot"},
                {"snapshot_instance", "image_uploading"},
                {"backup_instance", "image_pending_upload"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)teardown_workers(state);
        (void)setup_workers(state);
        (void)strcpy(world.task_state, rows[i].task_state);
        world.others_events = 1;
        assert_true(arrive_in_doubt(request_of(rows[i].method)));
        assert_int_equal(workers_wait(agent.workers, 60000), 0);
        assert_int_equal(record().calls[FAKE_EXTRACT], 0);
        assert_int_equal(world.image, QUEUED);
        assert_string_equal(world.task_state, rows[i].task_state);
        assert_string_equal(world.fault, "");
    }
}

/* A request whose redelivery may take `redelivery_ms`, and a queue that nobody empties now. */
static void doubt_while_queued(unsigned redelivery_ms)
{
    struct error err = ERROR_INIT;
    recovery_free(agent.recovery);
    assert_int_equal(recovery_new(redelivery_ms, dispatch_recover, &agent.recovery, &err), 0);
    recovery_bus_is_started(agent.recovery);
    bus_state.given_out = false;
    assert_true(arrive_in_doubt(request_of("snapshot_instance")));
    (void)poll(NULL, 0, 300);
    assert_string_equal(world.story, ""); /* nothing was asked */
}

/* The queue's node is away, or nova-compute is: nobody can be given the request yet. */
static void what_is_in_doubt_waits_for_the_queue(void **state)
{
    (void)state;
    doubt_while_queued(1);
    bus_state.given_out = true;
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(record().calls[FAKE_EXTRACT], 1);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
}

/* The node is back with the request, and nova-compute was there before us. */
static void what_the_queue_still_had_is_left_to_another(void **state)
{
    (void)state;
    doubt_while_queued(1);
    (void)strcpy(world.task_state, "image_snapshot");
    world.others_events = 1;
    bus_state.given_out = true;
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(record().calls[FAKE_EXTRACT], 0);
    assert_int_equal(world.image, QUEUED);
    assert_string_equal(world.task_state, "image_snapshot");
    assert_string_equal(world.fault, "");
}

/* What it was given before that tells nothing. */
static void a_queue_that_is_lost_again_is_waited_for_again(void **state)
{
    (void)state;
    doubt_while_queued(500);
    bus_state.given_out = true;
    (void)poll(NULL, 0, 200);
    bus_state.given_out = false;
    (void)poll(NULL, 0, 1500);
    assert_string_equal(world.story, "");
    bus_state.given_out = true;
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(record().calls[FAKE_EXTRACT], 1);
    assert_int_equal(world.image, ACTIVE);
}

static bool at_leisure(void *arg)
{
    (void)arg;
    return false;
}

/* The same of the next agent. */
static void end_and_begin_again(void)
{
    struct error err = ERROR_INIT;
    const struct shutdown_ops ops = {cancel_for_the_end, at_leisure, NULL};
    assert_true(shutdown_run(&agent, &ops));
    assert_string_equal(world.story, "");
    shutdown_free(agent.shutdown);
    assert_int_equal(shutdown_new(&agent.shutdown, &err), 0);
    assert_int_equal(recovery_run(agent.recovery, &agent, 10000, &err), 0);
}

/* There is no nova-compute for long: the request is not forgotten, however many ends there are. */
static void what_is_in_doubt_at_the_end_is_left_to_the_next_start(void **state)
{
    (void)state;
    conf.DEFAULT.graceful_shutdown_timeout = 20;
    doubt_while_queued(1);
    for (int i = 0; i < 6; i++)
        end_and_begin_again();
    bus_state.given_out = true;
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(record().calls[FAKE_EXTRACT], 1);
    assert_int_equal(world.image, ACTIVE);
    assert_string_equal(world.task_state, "");
}

/* Two that put a layer on a disk get in each other's way; thawing twice does no harm. */
static void what_nobody_can_find_out_is_given_up_but_for_a_thaw(void **state)
{
    (void)state;
    assert_false(arrive_in_doubt(request_of("volume_snapshot_create")));
    assert_false(arrive_in_doubt(request_of("volume_snapshot_delete")));
    assert_false(arrive_in_doubt(request_of("quiesce_instance")));
    assert_int_equal(workers_running(agent.workers), 0);
    assert_true(arrive_in_doubt(request_of("unquiesce_instance")));
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(atomic_load(&agent.taking), 0);
}

/* Cinder's own requests name the instance by its object alone. */
static void a_request_without_an_instance_waits_for_nobody(void **state)
{
    (void)state;
    struct rpc_request *request = request_of("volume_snapshot_create");
    json_object_del(request->args, "instance");
    arrive(request);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_string_equal(world.statuses, "error ");
}

/* One that had its turn and was done with the guest, and one that has it in hands since. */
static void a_guest_in_hands_comes_before_what_stands_first(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    recovery_free(agent.recovery);
    assert_int_equal(recovery_new(1, dispatch_recover, &agent.recovery, &err), 0);
    leave(request_of("volume_snapshot_create"), NULL, NULL);
    leave(request_of("snapshot_instance"), "driver", json_object());
    uint64_t start_ms = clock_now_ms();
    assert_int_equal(recovery_run(agent.recovery, &agent, 5000, &err), 0);
    assert_true(clock_now_ms() - start_ms < 5000);
    assert_int_equal(record().calls[FAKE_RECOVER], 1);
    recovery_bus_is_started(agent.recovery);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_string_equal(world.statuses, "creating ");
}

static void *start_bus(void *arg)
{
    (void)poll(NULL, 0, 100);
    recovery_bus_is_started(arg);
    return NULL;
}

/* What waits for another recovered request has no guest to bring back: the bus is not kept off. */
static void recovery_does_not_wait_for_itself(void **state)
{
    (void)state;
    pthread_t thread;
    struct error err = ERROR_INIT;
    recovery_free(agent.recovery);
    assert_int_equal(recovery_new(1, dispatch_recover, &agent.recovery, &err), 0);
    leave(request_of("snapshot_instance"), "driver", json_object());
    leave(second_snapshot(), NULL, NULL);
    leave(second_snapshot(), "failure",
          json_pack("{s:i, s:s, s:s}", "errnum", 5, "exc", "InternalError", "message", "no"));
    uint64_t start_ms = clock_now_ms();
    assert_int_equal(recovery_run(agent.recovery, &agent, 60000, &err), 0);
    assert_true(clock_now_ms() - start_ms < 20000);
    assert_int_equal(pthread_create(&thread, NULL, start_bus, agent.recovery), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    assert_int_equal(record().calls[FAKE_EXTRACT], 1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_workers, teardown_workers)
    const struct CMUnitTest tests[] = {
        TEST(what_changes_a_guest_has_it_alone),
        TEST(two_snapshots_end_well),
        TEST(the_second_puts_back_the_progress_before_the_first),
        TEST(a_deleted_image_cancels_what_waits),
        TEST(a_deleted_server_cancels_what_waits),
        TEST(what_waits_for_its_turn_is_handed_back_at_its_turn),
        TEST(cinder_hears_in_time_of_what_waits_too_long),
        TEST(a_freeze_does_not_meet_a_snapshot),
        TEST(volumes_are_snapshotted_while_the_guest_is_frozen),
        TEST(a_thaw_never_waits),
        TEST(a_snapshot_leaves_a_frozen_guest_frozen),
        TEST(recovered_requests_keep_their_order),
        TEST(a_later_life_knows_the_progress_before_the_first),
        TEST(what_is_delivered_again_is_served_once),
        TEST(what_is_in_doubt_and_untouched_is_served),
        TEST(what_is_in_doubt_and_begun_by_another_is_left_alone),
        TEST(what_is_in_doubt_waits_for_the_queue),
        TEST(what_the_queue_still_had_is_left_to_another),
        TEST(a_queue_that_is_lost_again_is_waited_for_again),
        TEST(what_is_in_doubt_at_the_end_is_left_to_the_next_start),
        TEST(what_nobody_can_find_out_is_given_up_but_for_a_thaw),
        TEST(a_request_without_an_instance_waits_for_nobody),
        TEST(a_guest_in_hands_comes_before_what_stands_first),
        TEST(recovery_does_not_wait_for_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
