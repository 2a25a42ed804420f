/* SPDX-License-Identifier: Apache-2.0 */
/* agent/doctor.c and the checks of host_checks.c: what is told of a host when one thing is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/conductor.h"
#include "agent/doctor.h"
#include "agent/doctor_checks.h"
#include "agent/local_checks.h"
#include "agent/preflight.h"
#include "agent/reload.h"
#include "agent/workers.h"
#include "amqp/bus_look.h"
#include "bus_state.h"
#include "cinder_client/cinder.h"
#include "common/json.h"
#include "common/keystone.h"
#include "glance_client/glance.h"
#include "tests/unit/fake_driver.h"

static char folder[64], instances[128], snapshots[160], state_dir[128], conf_file[128];
static char host[] = "cmp1", shared[] = "shared", exclusive[] = "exclusive",
            blockrebase[] = "blockrebase";
static struct conf conf;
static struct conf_sources sources;
static struct agent agent;
static struct fake_script script;
static struct error err;
static bool is_serving;

/* What is wrong; all zero: nothing is. */
static struct {
    struct error broker, conductor, keystone, glance, cinder, cinder_endpoint, unfit, files;
    bool only_in_catalog, no_nova_compute, files_differ;
    int pid;
    unsigned version;
} world;

/* What happens to it while a look is under way. */
static struct doctor *doctor;
static void (*on_look)(void);
static unsigned n_looks_beside;

static int fail_with(const struct error *failure, struct error *ret_err)
{
    if (failure->errnum != 0)
        *ret_err = *failure;
    return -failure->errnum;
}

int __wrap_bus_look(struct bus *bus, struct bus_look *ret_look, struct error *ret_err);
int __wrap_bus_look(struct bus *bus, struct bus_look *ret_look, struct error *ret_err)
{
    (void)bus;
    *ret_look = (struct bus_look){.consumers = world.no_nova_compute ? 0 : 1, .ready = 3};
    return fail_with(&world.broker, ret_err);
}

int __wrap_preflight_trouble(struct preflight *preflight, struct error *ret_err);
int __wrap_preflight_trouble(struct preflight *preflight, struct error *ret_err)
{
    (void)preflight;
    if (on_look)
        on_look();
    return fail_with(&world.unfit, ret_err);
}

unsigned __wrap_workers_running(struct workers *workers);
unsigned __wrap_workers_running(struct workers *workers)
{
    (void)workers;
    return 0;
}

int __wrap_local_checks_lock_holder(const struct conf *of);
int __wrap_local_checks_lock_holder(const struct conf *of)
{
    (void)of;
    return world.pid;
}

int __wrap_conductor_service_version(struct bus *bus, const struct request_context *context,
                                     const char *of_host, unsigned timeout_ms,
                                     unsigned *ret_version, struct error *ret_err);
int __wrap_conductor_service_version(struct bus *bus, const struct request_context *context,
                                     const char *of_host, unsigned timeout_ms,
                                     unsigned *ret_version, struct error *ret_err)
{
    (void)bus, (void)context;
    assert_string_equal(of_host, "cmp1");
    assert_in_range(timeout_ms, 1, 10000);
    *ret_version = world.version;
    return fail_with(&world.conductor, ret_err);
}

int __wrap_keystone_session_context(struct keystone_session *session, unsigned timeout_ms,
                                    struct request_context **ret_context, struct error *ret_err);
int __wrap_keystone_session_context(struct keystone_session *session, unsigned timeout_ms,
                                    struct request_context **ret_context, struct error *ret_err)
{
    (void)session, (void)timeout_ms;
    int r = fail_with(&world.keystone, ret_err);
    return r < 0 ? r : request_context_new_admin(ret_context, ret_err);
}

int __wrap_glance_endpoint(struct glance *glance, const struct request_context *context,
                           char **ret_url, struct error *ret_err);
int __wrap_glance_endpoint(struct glance *glance, const struct request_context *context,
                           char **ret_url, struct error *ret_err)
{
    (void)glance;
    assert_non_null(context);
    if (world.only_in_catalog && world.keystone.errnum != 0)
        return error_set(ret_err, ENOENT, EXC_INTERNAL_ERROR, "no endpoint");
    *ret_url = strdup("http://glance");
    return 0;
}

int __wrap_glance_reach(struct glance *glance, const char *of_catalog, unsigned timeout_ms,
                        struct error *ret_err);
int __wrap_glance_reach(struct glance *glance, const char *of_catalog, unsigned timeout_ms,
                        struct error *ret_err)
{
    (void)glance, (void)timeout_ms, (void)of_catalog;
    return fail_with(&world.glance, ret_err);
}

int __wrap_cinder_endpoint(const struct cinder *cinder, const struct request_context *context,
                           char **ret_url, struct error *ret_err);
int __wrap_cinder_endpoint(const struct cinder *cinder, const struct request_context *context,
                           char **ret_url, struct error *ret_err)
{
    (void)cinder, (void)context;
    if (world.cinder_endpoint.errnum == 0)
        *ret_url = strdup("http://cinder/v3");
    return fail_with(&world.cinder_endpoint, ret_err);
}

int __wrap_cinder_reach(struct cinder *cinder, const struct request_context *context,
                        unsigned timeout_ms, struct error *ret_err);
int __wrap_cinder_reach(struct cinder *cinder, const struct request_context *context,
                        unsigned timeout_ms, struct error *ret_err)
{
    (void)cinder, (void)context, (void)timeout_ms;
    return fail_with(&world.cinder, ret_err);
}

int __wrap_conf_load_to_compare(const struct conf_source *items, size_t n, struct conf **ret_conf,
                                struct error *ret_err);
int __wrap_conf_load_to_compare(const struct conf_source *items, size_t n, struct conf **ret_conf,
                                struct error *ret_err)
{
    assert_int_equal(n, 1);
    assert_string_equal(items[0].path, conf_file);
    *ret_conf = NULL;
    return fail_with(&world.files, ret_err);
}

void __wrap_reload_compare(const struct agent *of, const struct conf *with,
                           void (*differs)(void *arg, const char *group, const char *name),
                           void *arg);
void __wrap_reload_compare(const struct agent *of, const struct conf *with,
                           void (*differs)(void *arg, const char *group, const char *name),
                           void *arg)
{
    assert_ptr_equal(of, &agent);
    assert_null(with);
    if (!world.files_differ)
        return;
    differs(arg, "DEFAULT", "host");
    differs(arg, "glance", "timeout");
}

static int start(void **state)
{
    (void)state;
    (void)strcpy(folder, "/tmp/test-doctor-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int finish(void **state)
{
    (void)state;
    char command[200];
    (void)snprintf(command, sizeof(command), "/bin/rm -rf %s", folder);
    return system(command);
}

/* Of qemu-utils; what it says is its version. */
static void make_program(const char *name)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file, "#!/bin/sh\necho '%s version 7.2.22'\necho more\n", name);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0755), 0);
}

static void make_folder(char *ret_path, size_t size, const char *name, mode_t mode)
{
    (void)snprintf(ret_path, size, "%s/%s", folder, name);
    assert_true(mkdir(ret_path, mode) == 0 || errno == EEXIST);
    assert_int_equal(chmod(ret_path, mode), 0);
}

static int set_up(void **state)
{
    static char uri[] = "test:///default";
    (void)state;
    memset(&world, 0, sizeof(world));
    world.version = 64;
    on_look = NULL;
    n_looks_beside = 0;
    err = (struct error)ERROR_INIT;
    bus_state.attached = bus_state.connected = is_serving = true;
    bus_state.drained = false;
    make_folder(instances, sizeof(instances), "instances", 0755);
    make_folder(snapshots, sizeof(snapshots), "instances/snapshots", 0755);
    make_folder(state_dir, sizeof(state_dir), "state", 0700);
    (void)snprintf(conf_file, sizeof(conf_file), "%s/nova.conf", folder);
    make_program("qemu-img");
    make_program("qemu-nbd");
    assert_int_equal(setenv("PATH", folder, 1), 0);
    conf = (struct conf){.DEFAULT = {.host = host, .instances_path = instances},
                         .libvirt = {.snapshots_directory = snapshots, .connection_uri = uri},
                         .snapshot_agent = {.attach = shared,
                                            .state_dir = state_dir,
                                            .live_snapshot_method = blockrebase}};
    sources = (struct conf_sources){.items = {{conf_file, false}}, .n = 1};
    memset(&script, 0, sizeof(script));
    agent = (struct agent){.conf = &conf};
    agent.own_session = agent.service_session = (struct keystone_session *)&err; /* there is one */
    return fake_driver_new(&script, &agent.driver, &err);
}

static int tear_down(void **state)
{
    (void)state;
    driver_free(agent.driver);
    return 0;
}

static json_t *look(void)
{
    fake_driver_set_script(agent.driver, &script);
    assert_int_equal(doctor_new(&agent, &sources, is_serving, &doctor, &err), 0);
    json_t *report = NULL;
    assert_int_equal(doctor_look(doctor, NULL, &report, &err), 0);
    doctor_free(doctor);
    return report;
}

static const json_t *finding_of(const json_t *report, const char *check)
{
    size_t i;
    const json_t *finding;
    json_array_foreach (json_object_get(report, "findings"), i, finding)
        if (strcmp(json_string_member(finding, "check"), check) == 0)
            return finding;
    fail_msg("nothing is told of %s", check);
    return NULL;
}

/* Of this alone something is told, with what to do. AppArmor is as this machine has it. */
static void assert_told(const char *check, const char *status, const char *text)
{
    size_t i;
    json_t *report = look();
    const json_t *finding;
    json_array_foreach (json_object_get(report, "findings"), i, finding) {
        const char *name = json_string_member(finding, "check");
        bool is_it = check && strcmp(name, check) == 0;
        const char *expected = is_it ? status : "ok";
        if (strcmp(name, "AppArmor") != 0 &&
            strcmp(json_string_member(finding, "status"), expected) != 0)
            fail_msg("%s: %s", name, json_string_member(finding, "text"));
        if (is_it && !strstr(json_string_member(finding, "text"), text))
            fail_msg("\"%s\" instead of \"%s\"", json_string_member(finding, "text"), text);
        if (is_it && strcmp(status, "ok") != 0)
            assert_true(strlen(json_string_member(finding, "remedy")) > 10);
    }
    if (check)
        (void)finding_of(report, check);
    json_decref(report);
}

static struct error failure(int errnum, const char *text)
{
    struct error made = ERROR_INIT;
    (void)error_set(&made, errnum, EXC_INTERNAL_ERROR, "%s", text);
    return made;
}

static void all_is_well(void **state)
{
    (void)state;
    assert_told(NULL, NULL, NULL);
    assert_told("configuration", "ok", "read from ");
    assert_told("agent", "ok", "takes the requests of host cmp1");
    assert_told("[DEFAULT]instances_path", "ok", "mode 755, ");
    assert_told("[libvirt]snapshots_directory", "ok", "shared with instances_path");
    assert_told("[snapshot_agent]state_dir", "ok", "mode 700, ");
    assert_told("qemu-img", "ok", "qemu-img version 7.2.22");
    assert_told("libvirt's socket", "ok", "of test:///default libvirt alone knows");
    assert_told("libvirt", "ok", "fakevirt 1.2.3");
    assert_told("left-overs", "ok", "none; 0 requests are under way");
    assert_told("RabbitMQ", "ok", "3 requests wait in compute.cmp1");
    assert_told("nova-compute", "ok", "consumes compute.cmp1; service version 64");
    assert_told("Glance", "ok", "http://glance answers");
    assert_told("Cinder", "ok", "http://cinder/v3 answers");
}

static void what_does_not_answer_fails(void **state)
{
    (void)state;
    static const struct {
        struct error *place;
        int errnum;
        const char *check, *text;
    } cases[] = {
        {&world.glance, ECONNREFUSED, "Glance", "Connection refused"},
        {&world.cinder, ECONNREFUSED, "Cinder", "Connection refused"},
        {&world.conductor, ETIMEDOUT, "nova-compute",
         "nova-conductor does not tell its version: no answer"},
        {&world.files, EINVAL, "configuration", "the next start will fail: n.conf:7: no number"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *colon = strrchr(cases[i].text, ':');
        *cases[i].place =
            failure(cases[i].errnum, cases[i].place == &world.files ? "n.conf:7: no number"
                                     : colon                        ? colon + 2
                                                                    : cases[i].text);
        assert_told(cases[i].check, "fail", cases[i].text);
        *cases[i].place = (struct error)ERROR_INIT;
    }
    script.errors[FAKE_DESCRIBE_HOST] = failure(ECONNREFUSED, "no libvirtd");
    assert_told("libvirt", "fail", "no libvirtd");
    struct fake_record record;
    fake_driver_get_record(agent.driver, &record);
    assert_int_equal(record.calls[FAKE_CHECK_HOST], 0); /* which makes folders */
}

/* What depends on it is not known then, and says so. */
static void a_broker_that_refuses_the_password(void **state)
{
    (void)state;
    world.broker = failure(ENOTCONN, "ACCESS_REFUSED - Login was refused");
    json_t *report = look();
    const json_t *broker = finding_of(report, "RabbitMQ");
    const json_t *compute = finding_of(report, "nova-compute");
    assert_string_equal(json_string_member(broker, "status"), "fail");
    assert_non_null(strstr(json_string_member(broker, "text"), "ACCESS_REFUSED"));
    assert_non_null(strstr(json_string_member(broker, "remedy"), "[DEFAULT]transport_url"));
    assert_string_equal(json_string_member(compute, "status"), "warn");
    assert_string_equal(json_string_member(compute, "text"), "not to be seen without RabbitMQ");
    json_decref(report);
}

static void wrong_credentials_leave_cinder_unasked(void **state)
{
    (void)state;
    world.keystone = failure(EACCES, "Keystone refused the credentials: 401");
    json_t *report = look();
    const json_t *keystone = finding_of(report, "Keystone");
    assert_string_equal(json_string_member(keystone, "status"), "fail");
    assert_string_equal(json_string_member(keystone, "text"),
                        "[service_user]: Keystone refused the credentials: 401");
    assert_string_equal(json_string_member(finding_of(report, "Cinder"), "status"), "warn");
    assert_string_equal(json_string_member(finding_of(report, "Glance"), "status"), "ok");
    json_decref(report);
    world.only_in_catalog = true;
    report = look();
    assert_string_equal(json_string_member(finding_of(report, "Glance"), "text"),
                        "where it is only a catalog tells, and there was none");
    json_decref(report);
}

static void no_service_token_is_a_warning(void **state)
{
    (void)state;
    agent.service_session = NULL;
    assert_told("Keystone", "warn", "an upload that outlives the user's token fails");
    world.keystone = failure(EACCES, "Keystone refused the credentials: 401"); /* of old */
    json_t *report = look();
    const json_t *keystone = finding_of(report, "Keystone");
    assert_string_equal(json_string_member(keystone, "status"), "warn");
    assert_non_null(strstr(json_string_member(keystone, "text"),
                           "fails; [service_user] gets none: Keystone refused the credentials"));
    json_decref(report);
}

/* Requests come with a user's token and catalog: what [service_user] may do does not matter. */
static void cinder_may_not_know_the_service_user(void **state)
{
    (void)state;
    static const int statuses[] = {401, 403};
    for (int i = 0; i < 2; i++) {
        world.cinder = failure(EACCES, "Cinder refused");
        world.cinder.http_status = statuses[i];
        assert_told("Cinder", "warn", "with their users' tokens: Cinder refused");
    }
    world.cinder.http_status = 404;
    assert_told("Cinder", "fail", "Cinder refused");
    world.cinder = (struct error)ERROR_INIT;
    world.cinder_endpoint = failure(ENOENT, "the catalog has no volumev3");
    assert_told("Cinder", "warn", "tokens: the catalog has no volumev3");
    world.cinder_endpoint = failure(ENOTSUP, "none of API v3");
    assert_told("Cinder", "fail", "none of API v3");
}

static void nova_compute_is_missed(void **state)
{
    (void)state;
    world.no_nova_compute = true;
    assert_told("nova-compute", "fail", "nobody consumes compute.cmp1");
    world.no_nova_compute = false;
    world.version = 0;
    assert_told("nova-compute", "fail", "Nova knows no nova-compute of host cmp1");
    conf.snapshot_agent.attach = exclusive;
    world.no_nova_compute = true;
    assert_told("nova-compute", "ok", "attach is exclusive");
}

static void the_agent_tells_why_it_takes_nothing(void **state)
{
    (void)state;
    bus_state.attached = false;
    assert_told("agent", "warn", "waits for nova-compute");
    world.unfit = failure(ENOENT, "qemu-img is not to be found");
    assert_told("agent", "warn", "because of what it has found: qemu-img is not to be found");
    bus_state.drained = true;
    assert_told("agent", "warn", "it is drained");
}

static void without_an_agent_that_is_what_fails(void **state)
{
    (void)state;
    is_serving = false;
    world.files = failure(EINVAL, "not looked at again");
    assert_told("agent", "fail", "none runs for host cmp1: nova-compute takes the snapshots");
    world.pid = 77;
    assert_told("agent", "warn", "one runs (pid 77)");
}

static void files_that_were_changed_are_told(void **state)
{
    (void)state;
    world.files_differ = true;
    assert_told("configuration", "warn",
                "from what the agent runs with: [DEFAULT]host, "
                "[glance]timeout");
}

static void an_option_that_is_not_served_is_told(void **state)
{
    (void)state;
    conf.is_compressed = true;
    assert_told("configuration", "warn", "kombu_compression is set: requests");
}

static void folders_and_programs(void **state)
{
    char path[400], missing[] = "/proc/nowhere", full[] = "/sys";
    (void)state;
    conf.DEFAULT.instances_path = missing;
    assert_told("[DEFAULT]instances_path", "fail", "/proc/nowhere: No such file");
    conf.DEFAULT.instances_path = instances;
    assert_int_equal(chmod(state_dir, 0777), 0);
    assert_told("[snapshot_agent]state_dir", "fail", state_dir);
    assert_int_equal(chmod(state_dir, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/qemu-img", folder);
    assert_int_equal(unlink(path), 0);
    assert_told("qemu-img", "fail", "qemu-img is not to be found");
    make_program("qemu-img");
    conf.snapshot_agent.scratch_reserve = 1 << 30;
    assert_told("room for snapshots", "warn", "less than [snapshot_agent]scratch_reserve");
    conf.snapshot_agent.scratch_reserve = 0;
    conf.libvirt.snapshots_directory = full;
    json_t *report = look();
    const json_t *room = finding_of(report, "room for snapshots");
    assert_string_equal(json_string_member(room, "status"), "fail");
    assert_string_equal(json_string_member(room, "text"), "only 0 bytes are free in /sys");
    json_decref(report);
}

/* This program, see main(): it is looked at as it would be in a snapshot. */
static void a_program_that_its_filter_kills(void **state)
{
    char path[200], self[4096] = "";
    (void)state;
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    (void)snprintf(path, sizeof(path), "%s/qemu-img", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(self, path), 0);
    assert_told("qemu-img", "fail", "qemu-img was killed by the system call filter");
    assert_int_equal(unlink(path), 0);
}

static void what_the_agent_makes_need_not_be_there_before(void **state)
{
    (void)state;
    assert_int_equal(rmdir(snapshots), 0);
    assert_told("room for snapshots", "fail", "cannot look at the room in "); /* it was removed */
    is_serving = false;
    json_t *report = look();
    assert_non_null(
        strstr(json_string_member(finding_of(report, "[libvirt]snapshots_directory"), "text"),
               "not there yet, the agent makes it"));
    assert_string_equal(json_string_member(finding_of(report, "room for snapshots"), "status"),
                        "ok");
    json_decref(report);
}

static void put_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* As if it were of an hour ago. */
static void make_old(const char *path)
{
    const struct timespec times[2] = {{.tv_sec = time(NULL) - 3600}, {.tv_sec = time(NULL) - 3600}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void put_old_file(const char *path)
{
    put_file(path, "x");
    make_old(path);
}

static void what_is_left_is_counted(void **state)
{
    char path[400];
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/cmp1.journal", state_dir);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/cmp1.journal/1.request", state_dir);
    put_file(path, "x"); /* its request has just begun */
    assert_told("left-overs", "ok", "none");
    assert_told("unreadable records", "ok", "none");
    make_old(path);
    assert_told("left-overs", "warn", "1 records of requests, and 0 folders");
    (void)snprintf(path, sizeof(path), "%s/tmp8a", snapshots); /* nova-compute's */
    assert_int_equal(mkdir(path, 0700), 0);
    make_old(path);
    assert_told("left-overs", "warn", "1 records of requests, and 0 folders");
    assert_int_equal(rmdir(path), 0);
    (void)snprintf(path, sizeof(path), "%s/nova-snapshot-8a", snapshots);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_told("left-overs", "warn", "1 records of requests, and 0 folders");
    make_old(path);
    assert_told("left-overs", "warn", "1 records of requests, and 1 folders");
    assert_int_equal(rmdir(path), 0);
    (void)snprintf(path, sizeof(path), "%s/cmp1.journal/1.request", state_dir);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof(path), "%s/cmp1.journal/1.request.unreadable", state_dir);
    put_old_file(path);
    assert_told("unreadable records", "fail", "1 in ");
}

static void apparmor_has_to_know_the_socket(void **state)
{
    char enabled[128], profiles[128], local[200], file[256];
    struct host_fact fact = {.is_warning = false};
    (void)state;
    (void)snprintf(enabled, sizeof(enabled), "%s/enabled", folder);
    make_folder(profiles, sizeof(profiles), "apparmor.d", 0755);
    doctor_checks_look_for_rule(enabled, profiles, "/i/snapshots", &fact);
    assert_string_equal(fact.text, "is not on");
    put_file(enabled, "Y\n");
    doctor_checks_look_for_rule(enabled, profiles, "/i/snapshots", &fact);
    assert_true(fact.is_warning);
    assert_non_null(strstr(fact.text, "/i/snapshots/*/nbd/s"));
    (void)snprintf(local, sizeof(local), "%s/abstractions", profiles);
    assert_int_equal(mkdir(local, 0755), 0);
    (void)snprintf(local, sizeof(local), "%s/abstractions/libvirt-qemu.d", profiles);
    assert_int_equal(mkdir(local, 0755), 0);
    (void)snprintf(file, sizeof(file), "%s/mine", local);
    put_file(file, "  # owner /i/snapshots/*/nbd/s rw,\n  owner /other/*/nbd/s rw,\n");
    fact = (struct host_fact){.is_warning = false};
    doctor_checks_look_for_rule(enabled, profiles, "/i/snapshots", &fact);
    assert_true(fact.is_warning);
    put_file(file, "  owner /i/snapshots/*/nbd/s rw,\n");
    fact = (struct host_fact){.is_warning = false};
    doctor_checks_look_for_rule(enabled, profiles, "/i/snapshots", &fact);
    assert_false(fact.is_warning);
    assert_non_null(strstr(fact.text, "libvirt-qemu.d lets QEMU make the socket"));
    assert_int_equal(unlink(file), 0);
}

static struct host_fact look_at_profiles(const char *enabled, const char *profiles)
{
    struct host_fact fact = {.is_warning = false};
    doctor_checks_look_for_rule(enabled, profiles, "/i/snapshots", &fact);
    return fact;
}

/* The package brings the rule in a file of its own, and its installation the line that includes it.
 */
static void a_rule_that_nothing_includes_is_none(void **state)
{
    char enabled[128], profiles[128], packaged[200], local[200], beside[256];
    (void)state;
    (void)snprintf(enabled, sizeof(enabled), "%s/enabled", folder);
    (void)snprintf(profiles, sizeof(profiles), "%s/apparmor.d", folder);
    (void)snprintf(packaged, sizeof(packaged), "%s/abstractions/nova-snapshot-agent", profiles);
    (void)snprintf(beside, sizeof(beside), "%s/abstractions/libvirt-qemu.d/ours", profiles);
    (void)snprintf(local, sizeof(local), "%s/local", profiles);
    assert_int_equal(mkdir(local, 0755), 0);
    (void)snprintf(local, sizeof(local), "%s/local/abstractions", profiles);
    assert_int_equal(mkdir(local, 0755), 0);
    (void)snprintf(local, sizeof(local), "%s/local/abstractions/libvirt-qemu", profiles);
    put_file(packaged, "  owner /i/snapshots/*/nbd/s rw,\n");
    struct host_fact fact = look_at_profiles(enabled, profiles);
    assert_true(fact.is_warning);
    assert_non_null(strstr(fact.text, "nothing includes <abstractions/nova-snapshot-agent>"));
    put_file(local, "# include if exists <abstractions/nova-snapshot-agent>\n");
    assert_true(look_at_profiles(enabled, profiles).is_warning);
    put_file(local, "include if exists <abstractions/nova-snapshot-agent>\n");
    fact = look_at_profiles(enabled, profiles);
    assert_false(fact.is_warning);
    assert_non_null(strstr(fact.text, "local/abstractions/libvirt-qemu lets QEMU"));
    put_file(local, "  #include <abstractions/nova-snapshot-agent>\n");
    assert_false(look_at_profiles(enabled, profiles).is_warning);
    put_file(packaged, "  owner /other/*/nbd/s rw,\n"); /* another snapshots_directory */
    fact = look_at_profiles(enabled, profiles);
    assert_true(fact.is_warning);
    assert_null(strstr(fact.text, "nothing includes"));
    put_file(packaged, "  owner /i/snapshots/*/nbd/s rw,\n");
    assert_int_equal(unlink(local), 0);
    put_file(beside, "include <abstractions/nova-snapshot-agent>\n"); /* a drop-in */
    assert_false(look_at_profiles(enabled, profiles).is_warning);
}

static void look_beside(void)
{
    json_t *report = NULL;
    struct error busy = ERROR_INIT;
    assert_int_equal(doctor_look(doctor, NULL, &report, &busy), -EBUSY);
    assert_non_null(strstr(busy.message, "another look is under way"));
    assert_null(report);
    n_looks_beside++;
}

/* Who would wait takes a place on the socket that status and cancel need. */
static void one_look_at_a_time(void **state)
{
    (void)state;
    on_look = look_beside;
    json_decref(look());
    assert_int_equal(n_looks_beside, 1);
}

static void stop_meanwhile(void)
{
    doctor_stop(doctor);
}

/* What is under way ends at its next wait, and none begins. */
static void a_look_ends_with_the_agent(void **state)
{
    json_t *report = NULL;
    (void)state;
    on_look = stop_meanwhile;
    assert_int_equal(doctor_new(&agent, &sources, true, &doctor, &err), 0);
    assert_int_equal(doctor_look(doctor, NULL, &report, &err), 0);
    const json_t *last = finding_of(report, "qemu-img"); /* a helper is not run any more */
    assert_non_null(strstr(json_string_member(last, "text"), "the agent ends"));
    assert_int_equal(json_array_size(json_object_get(report, "findings")), 7);
    json_decref(report);
    report = NULL;
    assert_int_equal(doctor_look(doctor, NULL, &report, &err), -ECANCELED);
    assert_string_equal(err.message, "the agent ends");
    assert_null(report);
    doctor_free(doctor);
    doctor_stop(NULL);
    doctor_free(NULL);
}

/* As qemu-img: a wrapper around another, and no script. */
static int wrapper_main(void)
{
    execl("/bin/echo", "echo", "qemu-img version 7.2.22", NULL);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return wrapper_main();
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(all_is_well),
        TEST(what_does_not_answer_fails),
        TEST(a_broker_that_refuses_the_password),
        TEST(wrong_credentials_leave_cinder_unasked),
        TEST(no_service_token_is_a_warning),
        TEST(cinder_may_not_know_the_service_user),
        TEST(nova_compute_is_missed),
        TEST(the_agent_tells_why_it_takes_nothing),
        TEST(without_an_agent_that_is_what_fails),
        TEST(files_that_were_changed_are_told),
        TEST(an_option_that_is_not_served_is_told),
        TEST(folders_and_programs),
        TEST(a_program_that_its_filter_kills),
        TEST(what_the_agent_makes_need_not_be_there_before),
        TEST(what_is_left_is_counted),
        TEST(apparmor_has_to_know_the_socket),
        TEST(a_rule_that_nothing_includes_is_none),
        TEST(one_look_at_a_time),
        TEST(a_look_ends_with_the_agent),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
