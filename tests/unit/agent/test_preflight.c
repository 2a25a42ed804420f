/* SPDX-License-Identifier: Apache-2.0 */
/* agent/preflight.c: when the agent stands aside, and what becomes of a request that meets it. */
#include <poll.h>

#include "agent/dispatch.h"
#include "agent/local_checks.h"
#include "agent/preflight.h"
#include "common/retry.h"
#include "world.h"

static char shared[] = "shared", exclusive[] = "exclusive", standard[] = "default";
static char *folder = state_dir.path;
static atomic_int local_errnum, keystone_errnum, glance_errnum; /* 0: all is well */
static atomic_uint n_looks, n_aside, n_back;
static atomic_bool is_aside;
static unsigned n_handed_back;
static const char *glance_of_catalog;
static struct error err;

#define GOOD_CHECK(name)                                                                           \
    host_check_look __wrap_##name;                                                                 \
    int __wrap_##name(struct host_view *view, struct host_fact *fact, struct error *failure_of)    \
    {                                                                                              \
        (void)view, (void)failure_of;                                                              \
        assert_null(fact); /* nobody reads them */                                                 \
        return 0;                                                                                  \
    }
GOOD_CHECK(local_checks_snapshots)
GOOD_CHECK(local_checks_state)
GOOD_CHECK(local_checks_devices)
GOOD_CHECK(local_checks_qemu_nbd)
GOOD_CHECK(local_checks_libvirt)

/* The first of them. */
host_check_look __wrap_local_checks_instances;
int __wrap_local_checks_instances(struct host_view *view, struct host_fact *fact,
                                  struct error *failure_of)
{
    (void)fact, (void)failure_of;
    assert_ptr_equal(view->agent, &agent);
    atomic_fetch_add(&n_looks, 1);
    return 0;
}

host_check_look __wrap_local_checks_qemu_img;
int __wrap_local_checks_qemu_img(struct host_view *view, struct host_fact *fact,
                                 struct error *failure_of)
{
    (void)view, (void)fact;
    int errnum = atomic_load(&local_errnum);
    return errnum == 0 ? 0
                       : error_set(failure_of, errnum, EXC_INTERNAL_ERROR, "it is not to be found");
}

void __wrap_bus_stand_aside(struct bus *bus, enum bus_aside reason, bool on);

void __wrap_bus_stand_aside(struct bus *bus, enum bus_aside reason, bool on)
{
    (void)bus;
    assert_int_equal(reason, BUS_ASIDE_UNFIT);
    assert_int_not_equal(atomic_exchange(&is_aside, on), on); /* each change once */
    atomic_fetch_add(on ? &n_aside : &n_back, 1);
}

int __wrap_keystone_session_get_token(struct keystone_session *session, char **ret_token,
                                      struct error *failure_of);

int __wrap_keystone_session_get_token(struct keystone_session *session, char **ret_token,
                                      struct error *failure_of)
{
    (void)session;
    int errnum = atomic_load(&keystone_errnum);
    if (errnum != 0)
        return error_set(failure_of, errnum, EXC_INTERNAL_ERROR,
                         "Keystone refused the credentials: 401");
    *ret_token = strdup("token");
    return 0;
}

int __wrap_glance_reach(struct glance *glance, const char *of_catalog, unsigned timeout_ms,
                        struct error *failure_of);

int __wrap_glance_reach(struct glance *glance, const char *of_catalog, unsigned timeout_ms,
                        struct error *failure_of)
{
    (void)glance, (void)timeout_ms;
    int errnum = atomic_load(&glance_errnum);
    glance_of_catalog = of_catalog;
    return errnum == 0 ? 0
                       : error_set(failure_of, errnum, EXC_GLANCE_CONNECTION_FAILED,
                                   "Glance cannot be reached");
}

static atomic_uint looks_at_once; /* that many follow without a pause */
static unsigned intervals_s[16];
static atomic_uint n_intervals;

uint64_t __real_retry_jitter_ms(uint64_t delay_ms);
uint64_t __wrap_retry_jitter_ms(uint64_t delay_ms);

uint64_t __wrap_retry_jitter_ms(uint64_t delay_ms)
{
    unsigned n = atomic_load(&n_intervals);
    if (n < ARRAY_SIZE(intervals_s)) {
        intervals_s[n] = (unsigned)(delay_ms / 1000);
        atomic_fetch_add(&n_intervals, 1);
    }
    if (atomic_load(&looks_at_once) == 0)
        return __real_retry_jitter_ms(delay_ms);
    atomic_fetch_sub(&looks_at_once, 1);
    return 0;
}

int __wrap_rpc_hand_back(struct bus *bus, const struct rpc_request *request, struct error *ignored);

int __wrap_rpc_hand_back(struct bus *bus, const struct rpc_request *request, struct error *ignored)
{
    (void)bus, (void)request, (void)ignored;
    assert_true(atomic_load(&is_aside)); /* or it would come to us again */
    n_handed_back++;
    return 0;
}

static int setup_preflight(void **state)
{
    (void)setup(state);
    err = (struct error)ERROR_INIT;
    atomic_store(&local_errnum, 0);
    atomic_store(&keystone_errnum, 0);
    atomic_store(&glance_errnum, 0);
    atomic_store(&n_looks, 0);
    atomic_store(&n_aside, 0);
    atomic_store(&n_back, 0);
    atomic_store(&is_aside, false);
    atomic_store(&looks_at_once, 0);
    atomic_store(&n_intervals, 0);
    n_handed_back = 0;
    conf.libvirt.images_type = standard;
    conf.libvirt.snapshots_directory = conf.snapshot_agent.state_dir = folder;
    conf.snapshot_agent.attach = shared;
    agent.service_session = (struct keystone_session *)&err; /* there is one */
    assert_int_equal(preflight_new(&agent, 5, &agent.preflight, &err), 0);
    return workers_new(4, &agent.workers, &err);
}

static int teardown_preflight(void **state)
{
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
    preflight_free(agent.preflight);
    workers_free(agent.workers);
    return teardown(state);
}

static void start(void)
{
    assert_int_equal(preflight_start(agent.preflight, 60000, &err), 0);
}

static void await(const atomic_uint *counter, unsigned n)
{
    for (unsigned ms = 0; atomic_load(counter) < n && ms < 20000; ms++)
        (void)poll(NULL, 0, 1);
    assert_true(atomic_load(counter) >= n);
}

static void assert_unfit_for(const char *why)
{
    struct error trouble = ERROR_INIT;
    assert_true(preflight_check(agent.preflight, &trouble) < 0);
    if (!strstr(trouble.message, why))
        fail_msg("'%s' instead of '%s'", trouble.message, why);
    assert_true(atomic_load(&is_aside));
}

static void a_fit_host_is_served(void **state)
{
    (void)state;
    start();
    assert_int_equal(preflight_check(agent.preflight, &err), 0);
    assert_int_equal(atomic_load(&n_looks), 1);
    assert_int_equal(atomic_load(&n_aside), 0);
    struct fake_record record;
    fake_driver_get_record(agent.driver, &record);
    assert_int_equal(record.calls[FAKE_CHECK_HOST], 1);
}

static void set_errnum(int number)
{
    script.errors[FAKE_CHECK_HOST] =
        number != 0 ? failure(number, EXC_INTERNAL_ERROR) : (struct error)ERROR_INIT;
    fake_driver_set_script(agent.driver, &script);
}

/* Each thing that is wrong is enough, and is named; the agent comes back by itself. */
static void what_is_wrong_is_told_and_over_when_it_is_right(void **state)
{
    (void)state;
    static const struct {
        atomic_int *errnum;
        int number;
        const char *why;
    } rows[] = {
        {&local_errnum, ENOENT, "qemu-img: it is not to be found"},
        {NULL, ECONNREFUSED, "told to fail"}, /* the hypervisor, or the folder of snapshots */
        {&keystone_errnum, EACCES, "[service_user]: Keystone refused the credentials"},
        {&glance_errnum, ECONNREFUSED, "Glance cannot be reached"},
    };
    start();
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].errnum)
            atomic_store(rows[i].errnum, rows[i].number);
        else
            set_errnum(rows[i].number);
        preflight_suspect(agent.preflight);
        await(&n_aside, i + 1);
        unsigned looks = atomic_load(&n_looks);
        preflight_suspect(agent.preflight);
        await(&n_looks, looks + 1); /* again, and nothing more is told */
        assert_unfit_for(rows[i].why);
        if (rows[i].errnum)
            atomic_store(rows[i].errnum, 0);
        else
            set_errnum(0);
        preflight_suspect(agent.preflight);
        await(&n_back, i + 1);
    }
    assert_int_equal(atomic_load(&n_aside), 4);
}

static size_t n_troubles(void)
{
    json_t *troubles = preflight_troubles(agent.preflight);
    size_t n = json_array_size(troubles);
    json_decref(troubles);
    return n;
}

/* What stands behind the first trouble is not to be found one by one. */
static void all_that_is_wrong_is_told(void **state)
{
    (void)state;
    char text[DRIVER_TEXT_MAX];
    atomic_store(&local_errnum, ENOENT);
    atomic_store(&keystone_errnum, EACCES);
    atomic_store(&glance_errnum, ECONNREFUSED);
    start();
    for (unsigned ms = 0; n_troubles() < 3 && ms < 20000; ms++)
        (void)poll(NULL, 0, 1);
    json_t *troubles = preflight_troubles(agent.preflight);
    static const char *const checks[] = {"qemu-img", "Keystone", "Glance"};
    assert_int_equal(json_array_size(troubles), 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(
            json_string_value(json_object_get(json_array_get(troubles, i), "check")), checks[i]);
    json_decref(troubles);
    assert_unfit_for("qemu-img: it is not to be found");
    assert_int_equal(atomic_load(&n_aside), 1);
    preflight_hypervisor(agent.preflight, text);
    assert_string_equal(text, "fakevirt 1.2.3");
    struct fake_record record;
    fake_driver_get_record(agent.driver, &record);
    assert_int_equal(record.calls[FAKE_CHECK_HOST], 0); /* no folder below what is not mounted */
    atomic_store(&local_errnum, 0);
    atomic_store(&keystone_errnum, 0);
    atomic_store(&glance_errnum, 0);
    preflight_suspect(agent.preflight);
    await(&n_back, 1);
    assert_int_equal(n_troubles(), 0);
}

/* It has answered, and that is what counts. */
static void a_hypervisor_that_hides_its_version_is_no_trouble(void **state)
{
    (void)state;
    char text[DRIVER_TEXT_MAX];
    script.errors[FAKE_DESCRIBE_HOST] = failure(EIO, EXC_INTERNAL_ERROR);
    fake_driver_set_script(agent.driver, &script);
    start();
    assert_int_equal(preflight_check(agent.preflight, &err), 0);
    assert_int_equal(n_troubles(), 0);
    preflight_hypervisor(agent.preflight, text);
    assert_string_equal(text, "");
}

static char full[] = "/sys"; /* a file system without any room */

static void no_room_is_no_fit_host(void **state)
{
    (void)state;
    conf.snapshot_agent.state_dir = full;
    start();
    assert_unfit_for("only 0 bytes are free in /sys");
}

static char removed[] = "/proc/nowhere";

/* While it runs: nothing could be written down. */
static void no_folder_is_no_fit_host(void **state)
{
    (void)state;
    conf.snapshot_agent.state_dir = removed;
    start();
    assert_unfit_for("cannot look at the room in /proc/nowhere: No such file");
}

static void no_room_for_snapshots_is_no_fit_host(void **state)
{
    (void)state;
    conf.libvirt.snapshots_directory = full;
    start();
    assert_unfit_for("only 0 bytes are free in /sys");
}

/* Ten thousand hosts that look each ten seconds would keep a Keystone down that comes back. */
static void what_stays_wrong_is_looked_at_less_often(void **state)
{
    (void)state;
    static const unsigned expected_s[] = {10, 20, 30, 30};
    atomic_store(&keystone_errnum, EACCES);
    atomic_store(&looks_at_once, ARRAY_SIZE(expected_s) - 1);
    start();
    await(&n_intervals, ARRAY_SIZE(expected_s));
    for (unsigned i = 0; i < ARRAY_SIZE(expected_s); i++)
        assert_int_equal(intervals_s[i], expected_s[i]);
}

static void what_is_wrong_again_is_looked_at_soon(void **state)
{
    (void)state;
    static const unsigned expected_s[] = {10, 20, 60, 10};
    atomic_store(&keystone_errnum, EACCES);
    atomic_store(&looks_at_once, 1);
    start();
    await(&n_intervals, 2);
    for (unsigned n = 3; n <= 4; n++) {
        atomic_store(&keystone_errnum, n == 4 ? EACCES : 0);
        preflight_suspect(agent.preflight);
        await(&n_intervals, n);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(expected_s); i++)
        assert_int_equal(intervals_s[i], expected_s[i]);
}

static void a_thing_that_is_wrong_at_the_start_does_not_end_the_agent(void **state)
{
    (void)state;
    atomic_store(&local_errnum, ENOENT);
    start();
    assert_int_equal(atomic_load(&n_aside), 1);
}

static void arrive(enum rpc_verdict verdict)
{
    void *claim = NULL;
    struct rpc_request *request = fixture_request();
    assert_int_equal(dispatch_ops.accept(&agent, request), verdict);
    if (verdict == RPC_SERVE) {
        assert_true(dispatch_ops.write_down(&agent, request, &claim));
        dispatch_ops.serve(&agent, request, claim);
    } else {
        rpc_request_free(request);
    }
    assert_int_equal(workers_wait(agent.workers, 60000), 0);
}

/* nova-compute gets it as nova-api sent it; neither tenant nor operator hears of a failure. */
static void a_request_that_meets_an_unfit_host_goes_back(void **state)
{
    (void)state;
    atomic_store(&glance_errnum, ECONNREFUSED);
    arrive(RPC_SERVE);
    assert_int_equal(n_handed_back, 1);
    assert_string_equal(world.story, "");
    assert_string_equal(world.task_state, "image_snapshot_pending");
    assert_string_equal(glance_of_catalog, "http://glance");
    arrive(RPC_PUT_BACK); /* one that was on its way */
    assert_int_equal(atomic_load(&n_looks), 1);
}

static void a_fresh_look_is_not_repeated(void **state)
{
    (void)state;
    arrive(RPC_SERVE);
    assert_int_equal(world.image, ACTIVE);
    world.image = QUEUED;
    (void)strcpy(world.task_state, "image_snapshot_pending");
    arrive(RPC_SERVE);
    assert_int_equal(world.image, ACTIVE);
    assert_int_equal(atomic_load(&n_looks), 1);
}

/* What happens between two looks. */
static void a_failure_leads_to_a_look(void **state)
{
    (void)state;
    start();
    script.errors[FAKE_EXTRACT] = failure(EIO, EXC_INTERNAL_ERROR);
    script.errors[FAKE_CHECK_HOST] = failure(ECONNREFUSED, EXC_INTERNAL_ERROR);
    fake_driver_set_script(agent.driver, &script);
    arrive(RPC_SERVE);
    assert_string_equal(world.fault, "told to fail");
    await(&n_aside, 1);
}

static void without_nova_compute_requests_are_served_to_their_failure(void **state)
{
    (void)state;
    conf.snapshot_agent.attach = exclusive;
    atomic_store(&local_errnum, ENOENT);
    script.errors[FAKE_EXTRACT] = failure(EIO, EXC_INTERNAL_ERROR);
    fake_driver_set_script(agent.driver, &script);
    arrive(RPC_SERVE);
    assert_int_equal(n_handed_back, 0);
    assert_int_equal(atomic_load(&n_aside), 0);
    assert_string_equal(world.fault, "told to fail");
    assert_int_equal(preflight_check(agent.preflight, &err), 0);
    assert_int_equal(preflight_trouble(agent.preflight, &err), -ENOENT); /* operators see it */
}

static void without_a_preflight_all_is_well(void **state)
{
    (void)state;
    assert_int_equal(preflight_look(NULL, NULL, &err), 0);
    assert_int_equal(preflight_check(NULL, &err), 0);
    assert_int_equal(preflight_trouble(NULL, &err), 0);
    preflight_suspect(NULL);
    preflight_free(NULL);
}

int main(void)
{
#define TEST(function)                                                                             \
    cmocka_unit_test_setup_teardown(function, setup_preflight, teardown_preflight)
    const struct CMUnitTest tests[] = {
        TEST(a_fit_host_is_served),
        TEST(what_is_wrong_is_told_and_over_when_it_is_right),
        TEST(all_that_is_wrong_is_told),
        TEST(a_hypervisor_that_hides_its_version_is_no_trouble),
        TEST(no_room_is_no_fit_host),
        TEST(no_folder_is_no_fit_host),
        TEST(no_room_for_snapshots_is_no_fit_host),
        TEST(what_stays_wrong_is_looked_at_less_often),
        TEST(what_is_wrong_again_is_looked_at_soon),
        TEST(a_thing_that_is_wrong_at_the_start_does_not_end_the_agent),
        TEST(a_request_that_meets_an_unfit_host_goes_back),
        TEST(a_fresh_look_is_not_repeated),
        TEST(a_failure_leads_to_a_look),
        TEST(without_nova_compute_requests_are_served_to_their_failure),
        TEST(without_a_preflight_all_is_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
