/* SPDX-License-Identifier: Apache-2.0 */
/* agent/status_report.c: what SIGUSR2 tells. */
#include "agent/status_report.h"

#include <stdlib.h>

#include "agent/jobs.h"
#include "bus_state.h"
#include "common/clock.h"
#include "world.h"

static int set_up(void **state)
{
    static char shared[] = "shared";
    struct error err = ERROR_INIT;
    bus_state.connected = bus_state.attached = true;
    assert_int_equal(setup(state), 0);
    conf.snapshot_agent.attach = shared;
    assert_int_equal(workers_new(10, &agent.workers, &err), 0);
    return jobs_new(&agent.jobs, &err);
}

static int tear_down(void **state)
{
    jobs_free(agent.jobs);
    workers_free(agent.workers);
    return teardown(state);
}

/* Owned by the test until the next one. */
static const char *report(void)
{
    static char text[4096];
    FILE *out = fmemopen(text, sizeof(text), "w");
    assert_non_null(out);
    status_report_write(&agent, out);
    (void)fclose(out);
    return text;
}

static void tells_how_an_idle_agent_is(void **state)
{
    (void)state;
    assert_string_equal(report(),
                        "nova-snapshot-agent " VERSION " serves host cmp1; the service version of "
                        "nova-compute is not known\n"
                        "queue compute.cmp1, attach = shared: attached, takes requests\n"
                        "this host can take snapshots\n"
                        "snapshot slots: 0 taken, 1 at most, 0 waiting\n"
                        "disk operation slots: 0 taken, 1 at most, 0 waiting\n"
                        "requests under way: 0; waiting for another one of their instance: 0\n"
                        "guests frozen for snapshots of their volumes: 0\n");
    bus_state.attached = false;
    assert_non_null(strstr(report(), "connected, takes no requests\n"));
    bus_state.connected = false;
    assert_non_null(strstr(report(), "not connected to RabbitMQ, trying\n"));
}

static void tells_what_each_request_is_at(void **state)
{
    (void)state;
    struct job snapshot = {.method = "snapshot_instance",
                           .request_id = "req-1",
                           .instance_uuid = FIXTURE_INSTANCE,
                           .image_id = FIXTURE_IMAGE};
    struct job freeze = {
        .method = "quiesce_instance", .request_id = "req-2", .instance_uuid = FIXTURE_INSTANCE};
    jobs_add(agent.jobs, &snapshot);
    jobs_add(agent.jobs, &freeze);
    jobs_set_phase(&snapshot, "upload");
    snapshot.begun_ms -= 61200;
    snapshot.phase_ms -= 1100;
    const char *text = report();
    assert_non_null(strstr(text, "request req-1, snapshot_instance of instance " FIXTURE_INSTANCE
                                 ", image " FIXTURE_IMAGE ": upload for 1."));
    assert_non_null(strstr(text, " s, 61."));
    assert_non_null(
        strstr(text, "request req-2, quiesce_instance of instance " FIXTURE_INSTANCE ": begin"));
    assert_true(strstr(text, "req-1") < strstr(text, "req-2"));
    jobs_remove(&snapshot);
    jobs_remove(&freeze);
    jobs_remove(&freeze); /* or never added */
    assert_null(strstr(report(), "req-"));
}

static void counts_slots_and_turns(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct instance_turn *first, *second;
    assert_int_equal(slots_acquire(agent.snapshot_slots, &err), 0);
    slots_set_limit(agent.disk_op_slots, 0);
    assert_int_equal(instance_queue_join(agent.instance_queue, FIXTURE_INSTANCE, &first, &err), 0);
    assert_int_equal(instance_queue_join(agent.instance_queue, FIXTURE_INSTANCE, &second, &err), 0);
    assert_int_equal(freezer_freeze(agent.freezer, FIXTURE_INSTANCE, &err), 0);
    const char *text = report();
    assert_non_null(strstr(text, "snapshot slots: 1 taken, 1 at most, 0 waiting\n"));
    assert_non_null(strstr(text, "disk operation slots: 0 taken, 0 waiting\n"));
    assert_non_null(strstr(text, "waiting for another one of their instance: 1\n"));
    assert_non_null(strstr(text, "guests frozen for snapshots of their volumes: 1\n"));
    assert_int_equal(freezer_thaw(agent.freezer, FIXTURE_INSTANCE, &err), 0);
    instance_turn_free(first);
    instance_turn_free(second);
    slots_release(agent.snapshot_slots);
}

static void a_snapshot_enters_and_leaves(void **state)
{
    (void)state;
    struct rpc_request *request = fixture_request();
    fake_driver_set_script(agent.driver, &script);
    snapshot_serve(HANDED_OVER(request, state_dir_record(request)));
    assert_int_equal(world.image, ACTIVE);
    assert_null(strstr(report(), "request req"));
    status_report_log(&agent); /* and does not end the agent */
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(tells_how_an_idle_agent_is),
        TEST(tells_what_each_request_is_at),
        TEST(counts_slots_and_turns),
        TEST(a_snapshot_enters_and_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
