/* SPDX-License-Identifier: Apache-2.0 */
/* agent/metrics.c: what a Prometheus is told, and that what happens is counted. */
#include "agent/metrics.h"

#include <stdlib.h>

#include "bus_state.h"
#include "world.h"

#define P "nova_snapshot_agent_"

static int set_up(void **state)
{
    struct error err = ERROR_INIT;
    bus_state.connected = bus_state.attached = true;
    assert_int_equal(setup(state), 0);
    return workers_new(10, &agent.workers, &err);
}

static int tear_down(void **state)
{
    workers_free(agent.workers);
    return teardown(state);
}

/* The value of a series; -1: there is none. */
static double value_of(const char *series)
{
    char line[256];
    double value = -1;
    char *text = metrics_text(&agent);
    assert_non_null(text);
    (void)snprintf(line, sizeof(line), "\n%s ", series);
    const char *at = strstr(text, line);
    if (at)
        value = strtod(at + strlen(line), NULL);
    free(text);
    return value;
}

static void assert_value(const char *series, double wanted)
{
    double value = value_of(series);
    if (value < wanted || value > wanted)
        fail_msg("%s is %g, not %g", series, value, wanted);
}

static void tells_how_things_are(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_value(P "build_info{version=\"" VERSION "\"}", 1);
    assert_value(P "connected", 1);
    assert_value(P "attached", 1);
    assert_value(P "host_ready", 1);
    assert_value(P "ending", 0);
    assert_value(P "slots_limit{kind=\"snapshot\"}", 1);
    assert_value(P "slots_taken{kind=\"snapshot\"}", 0);
    assert_value(P "slots_waiting{kind=\"disk_op\"}", 0);
    assert_value(P "requests", 0);
    assert_int_equal(slots_acquire(agent.snapshot_slots, &err), 0);
    assert_int_equal(freezer_freeze(agent.freezer, FIXTURE_INSTANCE, &err), 0);
    bus_state.attached = false;
    assert_value(P "slots_taken{kind=\"snapshot\"}", 1);
    assert_value(P "slots_taken{kind=\"disk_op\"}", 0);
    assert_value(P "frozen_guests", 1);
    assert_value(P "attached", 0);
    assert_int_equal(freezer_thaw(agent.freezer, FIXTURE_INSTANCE, &err), 0);
    slots_release(agent.snapshot_slots);
    assert_value(P "frozen_guests", 0);
    assert_value(P "freeze_seconds_count", 1);
}

static void snapshot(void)
{
    struct rpc_request *request = fixture_request();
    fake_driver_set_script(agent.driver, &script);
    snapshot_serve(HANDED_OVER(request, state_dir_record(request)));
}

static void each_end_is_counted_once(void **state)
{
    (void)state;
    static const char active[] = P "snapshots_total{method=\"blockrebase\",outcome=\"active\"}";
    static const char failed[] = P "snapshots_total{method=\"blockrebase\",outcome=\"failed\"}";
    static const char unwanted[] = P "snapshots_total{method=\"blockrebase\",outcome=\"unwanted\"}";
    snapshot();
    assert_value(active, 1);
    assert_value(failed, 0);
    (void)tear_down(state);
    (void)set_up(state);
    world.fail_upload = failure(EIO, EXC_INTERNAL_ERROR);
    snapshot();
    assert_value(active, 1);
    assert_value(failed, 1);
    (void)tear_down(state);
    (void)set_up(state);
    world.when_saving = "image_uploading";
    world.state_before_save = "deleting";
    snapshot();
    assert_value(active, 1);
    assert_value(failed, 1);
    assert_value(unwanted, 1);
}

static double records_before;

static void no_record(void *arg, struct rpc_request *request, struct journal_record *record)
{
    (void)arg, (void)request;
    assert_null(record);
}

static void records_of_the_journal_come_and_go(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    static const char records[] = P "journal_records",
                      unreadable[] = P "journal_unreadable_records";
    records_before = value_of(records);
    struct rpc_request *request = fixture_request();
    struct journal_record *first = state_dir_record(request), *second = state_dir_record(request);
    assert_value(records, records_before + 2);
    journal_end(first);
    assert_value(records, records_before + 1);
    (void)error_set(&err, EINVAL, EXC_INTERNAL_ERROR, "nobody understands it");
    assert_value(unreadable, 0);
    journal_set_aside(second, &err);
    assert_value(records, records_before);
    assert_value(unreadable, 1);
    journal_free(state_dir.journal); /* as the agent's next start has it */
    state_dir.journal = NULL;
    assert_int_equal(journal_open(state_dir.path, STATE_HOST, &state_dir.journal, &err), 0);
    agent.journal = state_dir.journal;
    assert_int_equal(journal_read_all(state_dir.journal, no_record, NULL, &err), 0);
    assert_value(unreadable, 1);
    assert_int_equal(state_dir_clear("journal"), 1);
    state_dir_make_folder("journal");
    rpc_request_free(request);
}

static void a_record_that_is_left_stays_one(void **state)
{
    (void)state;
    static const char records[] = P "journal_records";
    records_before = value_of(records);
    struct rpc_request *request = fixture_request();
    journal_leave(state_dir_record(request));
    assert_value(records, records_before + 1);
    assert_int_equal(state_dir_clear("journal"), 1);
    state_dir_make_folder("journal");
    rpc_request_free(request);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(tells_how_things_are),
        TEST(each_end_is_counted_once),
        TEST(records_of_the_journal_come_and_go),
        TEST(a_record_that_is_left_stays_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
