/* SPDX-License-Identifier: Apache-2.0 */
/* agent/operator.c, agent/operator_view.c: what operators see, and what they may change. */
#include "agent/operator.h"

#include <signal.h>
#include <sys/stat.h>

#include "agent/jobs.h"
#include "agent/operator_view.h"
#include "agent/preflight.h"
#include "bus_state.h"
#include "common/log.h"
#include "common/throttle.h"
#include "world.h"

static struct error trouble;
static union sigval queued;
static uint64_t disk_rate_of_host, upload_rate_of_host, rate_of_job;
static struct error err;

int __wrap_preflight_trouble(struct preflight *preflight, struct error *ret_err);
int __wrap_preflight_trouble(struct preflight *preflight, struct error *ret_err)
{
    (void)preflight;
    if (trouble.errnum != 0)
        *ret_err = trouble;
    return -trouble.errnum;
}

static const char *hypervisor;

void __wrap_preflight_hypervisor(struct preflight *preflight,
                                 char ret_text[static DRIVER_TEXT_MAX]);
void __wrap_preflight_hypervisor(struct preflight *preflight, char ret_text[static DRIVER_TEXT_MAX])
{
    (void)preflight;
    (void)strcpy(ret_text, hypervisor);
}

json_t *__wrap_preflight_troubles(struct preflight *preflight);
json_t *__wrap_preflight_troubles(struct preflight *preflight)
{
    (void)preflight;
    return json_pack(trouble.errnum != 0 ? "[{s:s, s:s}, {s:s, s:s}]" : "[]", "check", "Keystone",
                     "text", trouble.message, "check", "Glance", "text", "is away");
}

bool __wrap_bus_alive(struct bus *bus, unsigned within_ms);
bool __wrap_bus_alive(struct bus *bus, unsigned within_ms)
{
    (void)bus, (void)within_ms;
    return true;
}

int __wrap_sigqueue(pid_t pid, int number, union sigval value);
int __wrap_sigqueue(pid_t pid, int number, union sigval value)
{
    assert_int_equal(pid, getpid());
    assert_int_equal(number, OPERATOR_SIGNAL);
    queued = value;
    return 0;
}

void __real_throttle_set(struct throttle *throttle, uint64_t bytes_per_s);
void __wrap_throttle_set(struct throttle *throttle, uint64_t bytes_per_s);
void __wrap_throttle_set(struct throttle *throttle, uint64_t bytes_per_s)
{
    if (throttle == agent.disk_throttle)
        disk_rate_of_host = bytes_per_s;
    else if (throttle == agent.upload_throttle)
        upload_rate_of_host = bytes_per_s;
    else
        rate_of_job = bytes_per_s;
    __real_throttle_set(throttle, bytes_per_s);
}

static int set_up(void **state)
{
    static char shared[] = "shared";
    bus_state.connected = bus_state.attached = true;
    trouble = err = (struct error)ERROR_INIT;
    bus_state.drained = false;
    hypervisor = "libvirt 9.0.0, QEMU 7.2.22";
    queued.sival_int = 0;
    assert_int_equal(setup(state), 0);
    recovery_bus_is_started(agent.recovery);
    conf.snapshot_agent.attach = shared;
    assert_int_equal(workers_new(10, &agent.workers, &err), 0);
    assert_int_equal(throttle_new(0, &agent.disk_throttle, &err), 0);
    assert_int_equal(throttle_new(0, &agent.upload_throttle, &err), 0);
    return jobs_new(&agent.jobs, &err);
}

static int tear_down(void **state)
{
    control_stop(agent.control);
    agent.control = NULL;
    jobs_free(agent.jobs);
    throttle_free(agent.disk_throttle);
    throttle_free(agent.upload_throttle);
    workers_free(agent.workers);
    agent.disk_throttle = agent.upload_throttle = NULL;
    log_set_level(LOG_LEVEL_INFO);
    log_set_debug_modules(NULL);
    return teardown(state);
}

/* The member of a path "slots.snapshots.taken". Borrowed. */
static const json_t *member(const json_t *value, const char *path)
{
    char key[64];
    for (size_t length; value && *path != '\0'; path += length + (path[length] == '.')) {
        length = strcspn(path, ".");
        (void)snprintf(key, sizeof(key), "%.*s", (int)length, path);
        value = json_object_get(value, key);
    }
    return value;
}

static const char *text_of(const json_t *value, const char *path)
{
    return json_string_value(member(value, path));
}

static void the_status_tells_how_the_agent_is(void **state)
{
    (void)state;
    assert_int_equal(slots_acquire(agent.snapshot_slots, &err), 0);
    json_t *status = operator_ops.status(&agent);
    assert_non_null(status);
    assert_string_equal(text_of(status, "version"), VERSION);
    assert_string_equal(text_of(status, "host"), "cmp1");
    assert_string_equal(text_of(status, "attach"), "shared");
    assert_string_equal(text_of(status, "state"), "attached");
    assert_string_equal(text_of(status, "live_snapshot_method"), "blockrebase");
    assert_string_equal(text_of(status, "log_level"), "info");
    assert_true(json_is_true(member(status, "fit")) && json_is_null(member(status, "trouble")));
    assert_true(json_is_false(member(status, "drained")));
    assert_true(json_is_null(member(status, "nova_compute_version")));
    assert_string_equal(text_of(status, "queue"), "compute.cmp1");
    assert_string_equal(text_of(status, "broker"), "rabbit1:5672");
    assert_string_equal(text_of(status, "libvirt"), "9.0.0");
    assert_string_equal(text_of(status, "qemu"), "7.2.22");
    assert_int_equal(json_array_size(member(status, "troubles")), 0);
    assert_int_equal(json_integer_value(member(status, "slots.snapshots.taken")), 1);
    assert_int_equal(json_integer_value(member(status, "slots.snapshots.limit")), 1);
    assert_int_equal(json_integer_value(member(status, "slots.disk_operations.taken")), 0);
    assert_int_equal(json_integer_value(member(status, "limits.disk_rate_limit")), 0);
    assert_int_equal(json_integer_value(member(status, "running")), 0);
    atomic_store(&agent.taking, 1); /* one that no worker has yet is under way as well */
    json_t *of_taken = operator_view_status(&agent);
    assert_int_equal(json_integer_value(member(of_taken, "running")), 1);
    json_decref(of_taken);
    atomic_store(&agent.taking, 0);
    json_decref(status);
    slots_release(agent.snapshot_slots);
}

static void the_status_tells_what_is_wrong(void **state)
{
    (void)state;
    (void)error_set(&trouble, EIO, EXC_INTERNAL_ERROR, "no room");
    bus_state.drained = true;
    bus_state.attached = false;
    json_t *status = operator_ops.status(&agent);
    assert_string_equal(text_of(status, "state"), "detached");
    assert_string_equal(text_of(status, "trouble"), "no room");
    assert_int_equal(json_array_size(member(status, "troubles")), 2); /* all of them */
    assert_string_equal(text_of(json_array_get(member(status, "troubles"), 1), "check"), "Glance");
    assert_true(json_is_false(member(status, "fit")) && json_is_true(member(status, "drained")));
    json_decref(status);
    bus_state.connected = false;
    hypervisor = "";
    status = operator_ops.status(&agent);
    assert_true(json_is_null(member(status, "broker")) && json_is_null(member(status, "libvirt")) &&
                json_is_null(member(status, "qemu")));
    assert_string_equal(text_of(status, "state"), "connecting");
    json_decref(status);
}

static void health_has_its_reasons(void **state)
{
    (void)state;
    json_t *health = operator_ops.health(&agent);
    assert_true(json_is_true(member(health, "healthy")));
    assert_int_equal(json_array_size(member(health, "reasons")), 0);
    json_decref(health);
    (void)error_set(&trouble, EIO, EXC_INTERNAL_ERROR, "no room");
    bus_state.connected = false;
    health = operator_ops.health(&agent);
    assert_true(json_is_false(member(health, "healthy")));
    assert_string_equal(json_string_value(json_array_get(member(health, "reasons"), 0)),
                        "this host cannot take snapshots: no room");
    assert_int_equal(json_array_size(member(health, "reasons")), 2);
    json_decref(health);
}

static struct job a_snapshot(void)
{
    return (struct job){.method = "snapshot_instance",
                        .request_id = "req-1",
                        .instance_uuid = FIXTURE_INSTANCE,
                        .image_id = FIXTURE_IMAGE};
}

static void a_job_is_seen_with_its_progress(void **state)
{
    (void)state;
    struct job snapshot = a_snapshot();
    struct job freeze = {
        .method = "quiesce_instance", .request_id = "req-2", .instance_uuid = FIXTURE_INSTANCE};
    jobs_add(agent.jobs, &snapshot);
    jobs_add(agent.jobs, &freeze);
    jobs_set_snapshot_method(&snapshot, "stream");
    jobs_set_phase(&snapshot, "upload");
    jobs_set_progress(&snapshot, 0, 200);
    snapshot.progress.older.ms -= 1000;
    jobs_set_progress(&snapshot, 50, 200);
    json_t *jobs = operator_ops.jobs(&agent, NULL);
    assert_int_equal(json_array_size(jobs), 2);
    const json_t *job = json_array_get(jobs, 0);
    assert_int_equal(json_integer_value(member(job, "id")), 1);
    assert_string_equal(text_of(job, "method"), "snapshot_instance");
    assert_string_equal(text_of(job, "request"), "req-1");
    assert_string_equal(text_of(job, "instance"), FIXTURE_INSTANCE);
    assert_string_equal(text_of(job, "image"), FIXTURE_IMAGE);
    assert_string_equal(text_of(job, "snapshot_method"), "stream");
    assert_string_equal(text_of(job, "phase"), "upload");
    assert_int_equal(json_integer_value(member(job, "progress.bytes")), 50);
    assert_int_equal(json_integer_value(member(job, "progress.total_bytes")), 200);
    assert_int_equal(json_integer_value(member(job, "progress.percent")), 25);
    assert_in_range(json_integer_value(member(job, "progress.bytes_per_s")), 1, 50);
    assert_in_range(json_integer_value(member(job, "progress.seconds_left")), 3, 150);
    job = json_array_get(jobs, 1);
    assert_int_equal(json_integer_value(member(job, "id")), 2);
    assert_true(json_is_null(member(job, "image")) && json_is_null(member(job, "progress")));
    json_decref(jobs);
    jobs_set_phase(&snapshot, "finish"); /* whose bytes nobody counts */
    jobs = operator_ops.jobs(&agent, "1");
    assert_true(json_is_null(member(json_array_get(jobs, 0), "progress")));
    json_decref(jobs);
    jobs_remove(&snapshot);
    jobs_remove(&freeze);
}

static unsigned n_seen;

/* A copy is at its half, as the fake driver tells. */
static void look_at_copy(enum fake_call call, const char *uuid, void *userdata)
{
    (void)uuid, (void)userdata;
    if (call != FAKE_EXTRACT)
        return;
    json_t *jobs = operator_ops.jobs(&agent, FIXTURE_IMAGE);
    const json_t *job = json_array_get(jobs, 0);
    assert_string_equal(text_of(job, "phase"), "copy");
    assert_string_equal(text_of(job, "snapshot_method"), "blockrebase");
    assert_int_equal(json_integer_value(member(job, "progress.percent")), 50);
    json_decref(jobs);
    n_seen++;
}

static void a_copy_has_its_progress(void **state)
{
    (void)state;
    struct rpc_request *request = fixture_request();
    n_seen = 0;
    script.on_call = look_at_copy;
    fake_driver_set_script(agent.driver, &script);
    snapshot_serve(HANDED_OVER(request, state_dir_record(request)));
    assert_int_equal(world.image, ACTIVE);
    assert_int_equal(n_seen, 1);
}

static size_t n_found(const char *id)
{
    json_t *jobs = operator_ops.jobs(&agent, id);
    size_t n = json_array_size(jobs);
    json_decref(jobs);
    return n;
}

static void a_job_is_found_by_number_and_image(void **state)
{
    (void)state;
    struct job first = a_snapshot(), second = a_snapshot();
    second.image_id = OTHER_IMAGE;
    jobs_add(agent.jobs, &first);
    jobs_remove(&first);
    jobs_add(agent.jobs, &first); /* a number is not given twice */
    jobs_add(agent.jobs, &second);
    assert_int_equal(n_found("1"), 0);
    assert_int_equal(n_found("2"), 1);
    assert_int_equal(n_found("3"), 1);
    assert_int_equal(n_found(OTHER_IMAGE), 1);
    assert_int_equal(n_found(FIXTURE_INSTANCE), 0);
    assert_int_equal(n_found("02"), 0);
    assert_int_equal(n_found(""), 0);
    jobs_remove(&first);
    jobs_remove(&second);
}

static void cancel_by_operator(void)
{
    static struct error failure;
    failure = (struct error)ERROR_INIT;
    assert_int_equal(operator_ops.cancel_job(&agent, FIXTURE_IMAGE, &failure), 0);
}

/* As after a deletion of the image: the guest is back, the image gone, and why is told. */
static void a_snapshot_is_cancelled(void **state)
{
    (void)state;
    struct rpc_request *request = fixture_request();
    fake_driver_set_script(agent.driver, &script);
    world.on_upload = cancel_by_operator;
    snapshot_serve(HANDED_OVER(request, state_dir_record(request)));
    assert_int_equal(world.image, DELETED);
    assert_string_equal(world.task_state, "");
    assert_non_null(strstr(world.fault, "cancelled by an operator"));
    assert_int_equal(world.open_events, 0);
    assert_int_equal(n_found(FIXTURE_IMAGE), 0);
}

static void what_cannot_be_cancelled_is_told(void **state)
{
    (void)state;
    struct job freeze = {
        .method = "quiesce_instance", .request_id = "req-2", .instance_uuid = FIXTURE_INSTANCE};
    assert_int_equal(operator_ops.cancel_job(&agent, "1", &err), -ENOENT);
    jobs_add(agent.jobs, &freeze);
    err = (struct error)ERROR_INIT;
    assert_int_equal(operator_ops.cancel_job(&agent, "1", &err), -EBUSY);
    assert_non_null(strstr(err.message, "cannot be cancelled"));
    jobs_remove(&freeze);
    struct job done = a_snapshot(); /* it has left its cancellation */
    jobs_add(agent.jobs, &done);
    err = (struct error)ERROR_INIT;
    assert_int_equal(operator_ops.cancel_job(&agent, FIXTURE_IMAGE, &err), -EBUSY);
    jobs_remove(&done);
}

void __wrap_bus_stand_aside(struct bus *bus, enum bus_aside reason, bool on);
void __wrap_bus_stand_aside(struct bus *bus, enum bus_aside reason, bool on)
{
    (void)bus;
    assert_int_equal(reason, BUS_ASIDE_DRAINED);
    bus_state.drained = on;
}

/* It reads no signals until it has attached. */
static void an_agent_that_starts_is_drained_at_once(void **state)
{
    struct recovery *started = agent.recovery;
    (void)state;
    assert_int_equal(recovery_new(1, dispatch_recover, &agent.recovery, &err), 0);
    assert_int_equal(operator_ops.drain(&agent, true, &err), 0);
    json_t *status = operator_ops.status(&agent);
    assert_true(json_is_true(member(status, "drained")));
    assert_string_equal(text_of(status, "state"), "starting");
    json_decref(status);
    assert_int_equal(operator_ops.drain(&agent, false, &err), 0);
    assert_false(bus_state.drained);
    assert_int_equal(queued.sival_int, OPERATOR_RESUME); /* for the log */
    recovery_free(agent.recovery);
    agent.recovery = started;
}

static void the_main_thread_drains(void **state)
{
    (void)state;
    assert_int_equal(operator_ops.drain(&agent, true, &err), 0);
    assert_int_equal(queued.sival_int, OPERATOR_DRAIN);
    assert_int_equal(operator_ops.drain(&agent, false, &err), 0);
    assert_int_equal(queued.sival_int, OPERATOR_RESUME);
    assert_false(bus_state.drained); /* the control thread waits for no bus */
}

static void a_limit_that_is_not_named_stays(void **state)
{
    (void)state;
    struct fake_record record;
    struct control_rates rates = {NULL, CONTROL_RATE_KEPT, 40, 3, CONTROL_RATE_KEPT};
    assert_int_equal(operator_ops.set_rates(&agent, &rates, &err), 0);
    rates = (struct control_rates){NULL, 7, CONTROL_RATE_KEPT, CONTROL_RATE_KEPT, 5};
    assert_int_equal(operator_ops.set_rates(&agent, &rates, &err), 0);
    const struct live_values live = live_options_get(agent.live_options);
    assert_true(live.disk_bytes_per_s == 7 << 20 && live.disk_host_bytes_per_s == 40 << 20);
    assert_true(live.upload_bytes_per_s == 3 << 20 && live.upload_host_bytes_per_s == 5 << 20);
    assert_true(disk_rate_of_host == 40 << 20 && upload_rate_of_host == 5 << 20);
    fake_driver_get_record(agent.driver, &record);
    assert_true(record.disk_bytes_per_s == 7 << 20);
}

static void assert_limits(const char *id, int disk_mib, int upload_mib)
{
    json_t *jobs = operator_ops.jobs(&agent, id);
    const json_t *job = json_array_get(jobs, 0);
    if (disk_mib < 0)
        assert_true(json_is_null(member(job, "limits.disk_rate_limit")));
    else
        assert_int_equal(json_integer_value(member(job, "limits.disk_rate_limit")), disk_mib);
    assert_int_equal(json_integer_value(member(job, "limits.upload_rate_limit")), upload_mib);
    json_decref(jobs);
}

/* Of its disk that which its copy began with, of its upload that of now. */
static void a_job_is_seen_with_its_limits(void **state)
{
    (void)state;
    struct throttle *throttle = NULL;
    struct job snapshot = a_snapshot();
    struct control_rates rates = {NULL, 30, CONTROL_RATE_KEPT, 3, CONTROL_RATE_KEPT};
    assert_int_equal(throttle_new(4 << 20, &throttle, &err), 0);
    assert_int_equal(operator_ops.set_rates(&agent, &rates, &err), 0);
    jobs_add(agent.jobs, &snapshot);
    assert_limits("1", -1, 3);
    jobs_set_disk_limit(&snapshot, 50 << 20);
    jobs_set_throttle(&snapshot, JOB_UPLOAD, throttle);
    assert_limits("1", 50, 4);
    rates = (struct control_rates){NULL, 1, CONTROL_RATE_KEPT, 1, CONTROL_RATE_KEPT};
    assert_int_equal(operator_ops.set_rates(&agent, &rates, &err), 0);
    assert_limits("1", 50, 4); /* they are for those that begin afterwards */
    jobs_set_throttle(&snapshot, JOB_UPLOAD, NULL);
    rates = (struct control_rates){"1", CONTROL_RATE_KEPT, CONTROL_RATE_KEPT, 9, CONTROL_RATE_KEPT};
    assert_int_equal(operator_ops.set_rates(&agent, &rates, &err), 0);
    assert_limits("1", 50, 9);
    jobs_remove(&snapshot);
    throttle_free(throttle);
}

/* A copy by QEMU asks again and again; qemu-img is told once. */
static void the_disk_of_one_job_is_limited(void **state)
{
    (void)state;
    struct job snapshot = a_snapshot();
    const struct control_rates rates = {"1", 20, CONTROL_RATE_KEPT, 5, CONTROL_RATE_KEPT};
    jobs_add(agent.jobs, &snapshot);
    assert_true(jobs_ask_disk_limit(&snapshot, 50 << 20) == 50 << 20);
    assert_limits("1", 50, 0);
    jobs_set_snapshot_method(&snapshot, "blockcopy");
    assert_int_equal(operator_ops.set_rates(&agent, &rates, &err), 0);
    assert_true(jobs_ask_disk_limit(&snapshot, 50 << 20) == 20 << 20);
    assert_limits("1", 20, 5);
    jobs_set_snapshot_method(&snapshot, "cold");
    assert_int_equal(operator_ops.set_rates(&agent, &rates, &err), -EBUSY);
    assert_non_null(strstr(err.message, "taken by cold"));
    err = (struct error)ERROR_INIT;
    jobs_remove(&snapshot);
    assert_int_equal(operator_ops.set_rates(&agent, &rates, &err), -ENOENT);
}

static void limit_by_operator(void)
{
    static struct error failure;
    assert_limits(FIXTURE_IMAGE, 30, 6); /* the copy's */
    const struct control_rates rates = {FIXTURE_IMAGE, CONTROL_RATE_KEPT, CONTROL_RATE_KEPT, 9,
                                        CONTROL_RATE_KEPT};
    failure = (struct error)ERROR_INIT;
    assert_int_equal(rate_of_job, 6 << 20); /* what was wished before the upload began */
    assert_int_equal(operator_ops.set_rates(&agent, &rates, &failure), 0);
}

static void limit_early(enum fake_call call, const char *uuid, void *userdata)
{
    static struct error failure;
    const struct control_rates rates = {FIXTURE_IMAGE, CONTROL_RATE_KEPT, CONTROL_RATE_KEPT, 6,
                                        CONTROL_RATE_KEPT};
    (void)uuid, (void)userdata;
    failure = (struct error)ERROR_INIT;
    if (call == FAKE_EXTRACT)
        assert_int_equal(operator_ops.set_rates(&agent, &rates, &failure), 0);
}

static void one_job_is_limited_alone(void **state)
{
    (void)state;
    struct rpc_request *request = fixture_request();
    rate_of_job = 0;
    const struct control_rates usual = {NULL, 30, CONTROL_RATE_KEPT, CONTROL_RATE_KEPT,
                                        CONTROL_RATE_KEPT};
    assert_int_equal(operator_ops.set_rates(&agent, &usual, &err), 0);
    script.on_call = limit_early;
    world.on_upload = limit_by_operator;
    fake_driver_set_script(agent.driver, &script);
    snapshot_serve(HANDED_OVER(request, state_dir_record(request)));
    assert_int_equal(world.image, ACTIVE);
    assert_int_equal(rate_of_job, 9 << 20);
    assert_true(live_options_get(agent.live_options).upload_bytes_per_s == 0);
    const struct control_rates rates = {"77", CONTROL_RATE_KEPT, CONTROL_RATE_KEPT, 9,
                                        CONTROL_RATE_KEPT};
    assert_int_equal(operator_ops.set_rates(&agent, &rates, &err), -ENOENT);
}

static void the_log_is_turned_up_and_down(void **state)
{
    static const char *const none[] = {NULL}, *const some[] = {"driver", NULL},
                             *const unknown[] = {"driver", "kitchen", NULL};
    (void)state;
    struct control_log_level wanted = {.level = "debug", .modules = some};
    assert_int_equal(operator_ops.set_log_level(&agent, &wanted, &err), 0);
    assert_int_equal(log_get_level(), LOG_LEVEL_DEBUG);
    wanted = (struct control_log_level){.level = NULL, .modules = none};
    assert_int_equal(operator_ops.set_log_level(&agent, &wanted, &err), 0);
    assert_int_equal(log_get_level(), LOG_LEVEL_DEBUG);
    wanted = (struct control_log_level){.level = "info", .modules = unknown};
    assert_int_equal(operator_ops.set_log_level(&agent, &wanted, &err), -EINVAL);
    assert_non_null(strstr(err.message, "kitchen"));
    err = (struct error)ERROR_INIT;
    wanted = (struct control_log_level){.level = "loud"};
    assert_int_equal(operator_ops.set_log_level(&agent, &wanted, &err), -EINVAL);
    assert_int_equal(log_get_level(), LOG_LEVEL_DEBUG);
}

/* The folder is made for us alone; one that others may look into is not taken. */
static void it_listens_where_it_is_told(void **state)
{
    char folder[] = "/tmp/test-operator-XXXXXX", own[64], path[80];
    struct stat st;
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(own, sizeof(own), "%s/run", folder);
    (void)snprintf(path, sizeof(path), "%s/control", own);
    conf.snapshot_agent.control_socket = path;
    operator_listen(&agent);
    assert_non_null(agent.control);
    assert_int_equal(stat(own, &st), 0);
    assert_int_equal(st.st_mode & ALLPERMS, 0700);
    assert_int_equal(access(path, F_OK), 0);
    control_stop(agent.control);
    agent.control = NULL;
    assert_int_equal(chmod(own, 0755), 0);
    operator_listen(&agent);
    assert_null(agent.control);
    assert_int_equal(rmdir(own), 0);
    static char nowhere[] = "";
    conf.snapshot_agent.control_socket = nowhere;
    operator_listen(&agent);
    assert_null(agent.control);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_status_tells_how_the_agent_is),
        TEST(the_status_tells_what_is_wrong),
        TEST(health_has_its_reasons),
        TEST(a_job_is_seen_with_its_progress),
        TEST(a_copy_has_its_progress),
        TEST(a_job_is_found_by_number_and_image),
        TEST(a_snapshot_is_cancelled),
        TEST(what_cannot_be_cancelled_is_told),
        TEST(an_agent_that_starts_is_drained_at_once),
        TEST(the_main_thread_drains),
        TEST(a_limit_that_is_not_named_stays),
        TEST(a_job_is_seen_with_its_limits),
        TEST(the_disk_of_one_job_is_limited),
        TEST(one_job_is_limited_alone),
        TEST(the_log_is_turned_up_and_down),
        TEST(it_listens_where_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
