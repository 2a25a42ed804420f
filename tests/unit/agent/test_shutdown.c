/* SPDX-License-Identifier: Apache-2.0 */
/* agent/shutdown.c: how long for what, and who goes back to nova-compute. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/shutdown.h"
#include "agent/workers.h"
#include "common/clock.h"
#include "conf/conf.h"
#include "fixture.h"

static char shared[] = "shared", exclusive[] = "exclusive";
static struct conf conf;
static struct agent agent;
static struct rpc_request *request;
static unsigned n_detached, n_handed_back;
static int hand_back_result;

void __wrap_bus_detach(struct bus *bus);
void __wrap_bus_detach(struct bus *bus)
{
    (void)bus;
    assert_false(shutdown_has_begun(agent.shutdown)); /* nothing is handed back before */
    n_detached++;
}

int __wrap_rpc_hand_back(struct bus *bus, const struct rpc_request *handed_back, struct error *err);
int __wrap_rpc_hand_back(struct bus *bus, const struct rpc_request *handed_back, struct error *err)
{
    (void)bus;
    assert_ptr_equal(handed_back, request);
    n_handed_back++;
    return hand_back_result < 0 ? error_set(err, -hand_back_result, EXC_INTERNAL_ERROR, "refused")
                                : 0;
}

static int setup(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    conf = (struct conf){.DEFAULT.graceful_shutdown_timeout = 20, .snapshot_agent.attach = shared};
    agent = (struct agent){.conf = &conf};
    n_detached = n_handed_back = 0;
    hand_back_result = 0;
    request = fixture_request();
    assert_int_equal(shutdown_new(&agent.shutdown, &err), 0);
    return workers_new(8, &agent.workers, &err);
}

static int teardown(void **state)
{
    (void)state;
    shutdown_free(agent.shutdown);
    workers_free(agent.workers);
    rpc_request_free(request);
    return 0;
}

static void the_last_part_is_for_rolling_back(void **state)
{
    (void)state;
    static const struct {
        unsigned timeout_s;
        uint64_t cancel_ms, leave_ms;
    } rows[] = {
        {60, 50000, 60000},      {40, 30000, 40000},         {20, 15000, 20000},
        {1, 750, 1000},          {4000000, 3999990000, 4e9}, {3600, 3590000, 3600000},
        {0, NEVER_MS, NEVER_MS},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct shutdown_times times = shutdown_times(rows[i].timeout_s);
        assert_true(times.cancel_ms == rows[i].cancel_ms);
        assert_true(times.leave_ms == rows[i].leave_ms);
    }
}

static void each_step_has_its_time(void **state)
{
    (void)state;
    static const struct {
        unsigned timeout_s;
        uint64_t elapsed_ms;
        bool hurry;
        unsigned n_running;
        enum shutdown_step step;
    } rows[] = {
        {60, 0, false, 0, SHUTDOWN_DONE},        {60, 70000, true, 0, SHUTDOWN_DONE},
        {60, 0, false, 1, SHUTDOWN_WAIT},        {60, 49999, false, 3, SHUTDOWN_WAIT},
        {60, 50000, false, 3, SHUTDOWN_CANCEL},  {60, 59999, false, 3, SHUTDOWN_CANCEL},
        {60, 60000, false, 3, SHUTDOWN_LEAVE},   {60, 60000, true, 3, SHUTDOWN_LEAVE},
        {60, 10, true, 3, SHUTDOWN_CANCEL},      {0, 86400000, false, 1, SHUTDOWN_WAIT},
        {0, 86400000, true, 1, SHUTDOWN_CANCEL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct shutdown_times times = shutdown_times(rows[i].timeout_s);
        assert_int_equal(
            shutdown_next(&times, rows[i].elapsed_ms, rows[i].hurry, rows[i].n_running),
            rows[i].step);
    }
}

static void a_pause_ends_with_the_step(void **state)
{
    (void)state;
    const struct shutdown_times times = shutdown_times(60);
    const struct shutdown_times endless = shutdown_times(0);
    assert_int_equal(shutdown_pause_ms(&times, 0, 250), 250);
    assert_int_equal(shutdown_pause_ms(&times, 49900, 250), 100);
    assert_int_equal(shutdown_pause_ms(&times, 50000, 250), 250);
    assert_int_equal(shutdown_pause_ms(&times, 59999, 250), 1);
    assert_int_equal(shutdown_pause_ms(&times, 60500, 250), 1); /* 0 would be "for ever" */
    assert_int_equal(shutdown_pause_ms(&endless, 1u << 31, 250), 250);
}

/* A request: waits until it is cancelled or let go. */
static atomic_bool let_go, waiting_cancelled, all_cancelled;
static atomic_uint n_ended;
static bool is_deaf;

static void run_request(void *arg)
{
    bool waits = arg != NULL;
    while (!atomic_load(&let_go) && (is_deaf || !atomic_load(&all_cancelled)) &&
           !(waits && atomic_load(&waiting_cancelled)))
        (void)usleep(1000);
    if (waits && shutdown_hand_back(&agent, request))
        atomic_fetch_add(&n_ended, 100);
    atomic_fetch_add(&n_ended, 1);
}

static void cancel(struct agent *of, enum shutdown_whom whom)
{
    assert_ptr_equal(of, &agent);
    atomic_store(whom == SHUTDOWN_ALL ? &all_cancelled : &waiting_cancelled, true);
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static bool at_once(void *arg)
{
    (void)arg;
    return true;
}

static void start(unsigned n_running, unsigned n_waiting)
{
    struct error err = ERROR_INIT;
    atomic_store(&let_go, false);
    atomic_store(&waiting_cancelled, false);
    atomic_store(&all_cancelled, false);
    atomic_store(&n_ended, 0);
    is_deaf = false;
    for (unsigned i = 0; i < n_running; i++)
        assert_int_equal(workers_start(agent.workers, run_request, NULL, &err), 0);
    for (unsigned i = 0; i < n_waiting; i++)
        assert_int_equal(workers_start(agent.workers, run_request, &agent, &err), 0);
}

static void nothing_is_handed_back_in_ordinary_life(void **state)
{
    (void)state;
    assert_false(shutdown_hand_back(&agent, request));
    assert_int_equal(n_handed_back, 0);
}

static void an_idle_agent_ends_at_once(void **state)
{
    (void)state;
    const struct shutdown_ops ops = {.cancel = cancel, .hurry = never};
    start(0, 0);
    assert_true(shutdown_run(&agent, &ops));
    assert_true(shutdown_has_begun(agent.shutdown));
    assert_int_equal(n_detached, 1);
    assert_false(waiting_cancelled);
}

static void what_waits_is_handed_back(void **state)
{
    (void)state;
    const struct shutdown_ops ops = {.cancel = cancel, .hurry = never};
    start(0, 1);
    assert_true(shutdown_run(&agent, &ops));
    assert_int_equal(n_handed_back, 1);
    assert_int_equal(n_ended, 101);
    assert_false(all_cancelled);
}

static void what_cannot_be_handed_back_stays(void **state)
{
    (void)state;
    const struct shutdown_ops ops = {.cancel = cancel, .hurry = never};
    hand_back_result = -ETIMEDOUT;
    start(0, 1);
    assert_true(shutdown_run(&agent, &ops));
    assert_int_equal(n_handed_back, 1);
    assert_int_equal(n_ended, 1);
}

static void without_nova_compute_nothing_is_handed_back(void **state)
{
    (void)state;
    const struct shutdown_ops ops = {.cancel = cancel, .hurry = never};
    conf.snapshot_agent.attach = exclusive;
    start(0, 1);
    assert_true(shutdown_run(&agent, &ops));
    assert_int_equal(n_handed_back, 0);
    assert_int_equal(n_ended, 1);
}

static void a_second_signal_cancels_at_once(void **state)
{
    (void)state;
    const struct shutdown_ops ops = {.cancel = cancel, .hurry = at_once};
    conf.DEFAULT.graceful_shutdown_timeout = 0;
    start(3, 0);
    assert_true(shutdown_run(&agent, &ops));
    assert_true(all_cancelled);
    assert_int_equal(n_ended, 3);
}

static void what_runs_is_cancelled_in_time(void **state)
{
    (void)state;
    const struct shutdown_ops ops = {.cancel = cancel, .hurry = never};
    conf.DEFAULT.graceful_shutdown_timeout = 4;
    start(2, 0);
    uint64_t start_ms = clock_now_ms();
    assert_true(shutdown_run(&agent, &ops));
    assert_true(clock_now_ms() - start_ms >= 3000);
    assert_true(all_cancelled);
}

static void what_does_not_end_is_left_behind(void **state)
{
    (void)state;
    const struct shutdown_ops ops = {.cancel = cancel, .hurry = never};
    const struct shutdown_ops helpless = {.hurry = at_once};
    conf.DEFAULT.graceful_shutdown_timeout = 1;
    start(2, 0);
    is_deaf = true;
    assert_false(shutdown_run(&agent, &ops));
    atomic_store(&let_go, true);
    assert_int_equal(workers_wait(agent.workers, 20000), 0);
    shutdown_free(agent.shutdown);
    struct error err = ERROR_INIT;
    assert_int_equal(shutdown_new(&agent.shutdown, &err), 0);
    start(1, 0);
    assert_false(shutdown_run(&agent, &helpless));
    atomic_store(&let_go, true);
    assert_int_equal(workers_wait(agent.workers, 20000), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_last_part_is_for_rolling_back), TEST(each_step_has_its_time),
        TEST(a_pause_ends_with_the_step),        TEST(nothing_is_handed_back_in_ordinary_life),
        TEST(an_idle_agent_ends_at_once),        TEST(what_waits_is_handed_back),
        TEST(what_cannot_be_handed_back_stays),  TEST(without_nova_compute_nothing_is_handed_back),
        TEST(a_second_signal_cancels_at_once),   TEST(what_runs_is_cancelled_in_time),
        TEST(what_does_not_end_is_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
