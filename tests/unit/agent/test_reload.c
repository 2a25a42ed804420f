/* SPDX-License-Identifier: Apache-2.0 */
/* agent/reload.c: what SIGHUP changes, and what it says. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/live_options.h"
#include "agent/reload.h"
#include "agent/setup.h"
#include "agent/slots.h"
#include "common/log.h"
#include "common/throttle.h"
#include "conf/conf.h"
#include "fixture.h"
#include "tests/unit/fake_driver.h"

static char path[] = "/tmp/test-reload-XXXXXX";
static char captured[16384];
static struct conf *conf;
static struct agent agent;
static const struct fake_script script;

static const struct conf_sources sources = {.items = {{path, false}}, .n = 1};

static uint64_t disk_rate_of_host, upload_rate_of_host;

void __wrap_throttle_set(struct throttle *throttle, uint64_t bytes_per_s);

void __wrap_throttle_set(struct throttle *throttle, uint64_t bytes_per_s)
{
    *(throttle == agent.disk_throttle ? &disk_rate_of_host : &upload_rate_of_host) = bytes_per_s;
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* What is logged when the file has this text. */
static const char *reload(const char *text)
{
    int ends[2];
    write_file(text);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    (void)close(ends[1]);
    reload_configuration(&agent, &sources);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    ssize_t n = read(ends[0], captured, sizeof(captured) - 1);
    (void)close(ends[0]);
    captured[n > 0 ? n : 0] = '\0';
    return captured;
}

static int start(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    int fd = mkstemp(path);
    (void)close(fd);
    log_init(LOG_LEVEL_INFO);
    write_file("[DEFAULT]\ntransport_url = rabbit://u:s3cret@h/?heartbeat_timeout_threshold=9\n"
               "max_concurrent_snapshots = 1\n[service_user]\npassword = s3cret\n");
    int r = conf_load(sources.items, sources.n, &conf, &err);
    agent.conf = conf;
    if (r == 0)
        r = slots_new(1, &agent.snapshot_slots, &err);
    if (r == 0)
        r = live_options_new(conf, &agent.live_options, &err);
    if (r == 0)
        r = throttle_new(0, &agent.disk_throttle, &err);
    if (r == 0)
        r = throttle_new(0, &agent.upload_throttle, &err);
    if (r == 0)
        r = fake_driver_new(&script, &agent.driver, &err);
    return r == 0 ? slots_new(0, &agent.disk_op_slots, &err) : r;
}

static int end(void **state)
{
    (void)state;
    slots_free(agent.snapshot_slots);
    slots_free(agent.disk_op_slots);
    live_options_free(agent.live_options);
    throttle_free(agent.disk_throttle);
    throttle_free(agent.upload_throttle);
    driver_free(agent.driver);
    conf_free(conf);
    return unlink(path);
}

#define SAME                                                                                       \
    "[DEFAULT]\ntransport_url = rabbit://u:s3cret@h/?heartbeat_timeout_threshold=9\n"              \
    "[service_user]\npassword = s3cret\n"

static void a_bad_file_changes_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[DEFAULT]\ndebug = true\nmax_concurrent_snapshots = -1\n",
        "[DEFAULT]\ndebug = true\n[snapshot_agent]\nno_such = 1\n",
        "[DEFAULT]\ndebug = true\ntransport_url = amqp:\n",
        "[DEFAULT]\ndebug = true\ntransport_url = rabbit://h/?ssl=maybe\n",
        "[DEFAULT]\ndebug = true\n[service_user]\npassword s3cret\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *log = reload(bad[i]);
        assert_non_null(strstr(log, "ERROR"));
        assert_non_null(strstr(log, "the configuration stays as it was"));
        assert_null(strstr(log, "s3cret"));
        assert_false(log_enabled(LOG_LEVEL_DEBUG));
    }
    assert_int_equal(conf->DEFAULT.max_concurrent_snapshots, 1);
}

static void the_log_level_changes_and_changes_back(void **state)
{
    (void)state;
    assert_null(strstr(reload("[DEFAULT]\ndebug = true\n" SAME), "WARNING"));
    assert_true(log_enabled(LOG_LEVEL_DEBUG));
    assert_null(
        strstr(reload("[DEFAULT]\ndebug = true\n" SAME "[snapshot_agent]\ndebug_modules = amqp\n"),
               "WARNING"));
    assert_null(strstr(reload(SAME), "WARNING"));
    assert_false(log_enabled(LOG_LEVEL_DEBUG));
}

/* It would stand still for ever if the limit were still 1. */
static void the_limits_change(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(slots_acquire(agent.snapshot_slots, &err), 0);
    const char *log = reload("[DEFAULT]\nmax_concurrent_snapshots = 2\n" SAME);
    assert_non_null(strstr(log, "max_concurrent_snapshots = 2"));
    assert_int_equal(slots_acquire(agent.snapshot_slots, &err), 0);
    slots_release(agent.snapshot_slots);
    slots_release(agent.snapshot_slots);
    assert_int_equal(conf->DEFAULT.max_concurrent_snapshots, 1);
}

static void rates_and_the_method_change(void **state)
{
    (void)state;
    struct fake_record record;
    const char *log = reload("[snapshot_agent]\nlive_snapshot_method = stream\n"
                             "disk_rate_limit = 30\ndisk_rate_limit_host = 40\n"
                             "upload_rate_limit = 3\nupload_rate_limit_host = 5\n" SAME);
    assert_null(strstr(log, "needs a restart: [snapshot_agent]"));
    assert_non_null(strstr(log, "live_snapshot_method = stream, disk_rate_limit = 30 (host: 40), "
                                "upload_rate_limit = 3 (host: 5)"));
    struct live_values live = live_options_get(agent.live_options);
    assert_int_equal(live.wanted_method, SNAPSHOT_METHOD_STREAM);
    assert_true(live.disk_bytes_per_s == 30 << 20 && live.upload_bytes_per_s == 3 << 20);
    fake_driver_get_record(agent.driver, &record);
    assert_true(record.disk_bytes_per_s == 8 << 20); /* of 40, for 5 snapshots at a time */
    assert_true(disk_rate_of_host == 40 << 20 && upload_rate_of_host == 5 << 20);
    (void)reload(SAME);
    live = live_options_get(agent.live_options);
    assert_int_equal(live.wanted_method, SNAPSHOT_METHOD_BLOCKREBASE);
    assert_true(live.disk_bytes_per_s == 0 && live.upload_bytes_per_s == 0);
    fake_driver_get_record(agent.driver, &record);
    assert_true(record.disk_bytes_per_s == 0);
}

static void add_name(void *arg, const char *group, const char *name)
{
    size_t used = strlen(arg);
    (void)snprintf((char *)arg + used, 512 - used, "[%s]%s ", group, name);
}

/* What the file, as it is, has otherwise than the agent goes by. */
static const char *compare(const char *text)
{
    static char names[512];
    struct conf *now = NULL;
    struct error err = ERROR_INIT;
    names[0] = '\0';
    write_file(text);
    assert_int_equal(conf_load(sources.items, sources.n, &now, &err), 0);
    reload_compare(&agent, now, add_name, names);
    conf_free(now);
    return names;
}

static void what_was_reloaded_is_in_force(void **state)
{
#define OWN "live_snapshot_method = stream\ndisk_rate_limit = 30\nupload_rate_limit_host = 5\n"
    static const char changed[] = "[DEFAULT]\ndebug = true\nmax_concurrent_snapshots = 3\n" SAME
                                  "[snapshot_agent]\ndebug_modules = amqp\n" OWN;
    (void)state;
    (void)reload(SAME);
    assert_string_equal(compare(SAME), "");
    assert_string_equal(compare(changed),
                        "[DEFAULT]debug [DEFAULT]max_concurrent_snapshots "
                        "[snapshot_agent]live_snapshot_method [snapshot_agent]disk_rate_limit "
                        "[snapshot_agent]upload_rate_limit_host ");
    (void)reload(changed);
    assert_string_equal(compare(changed), "");
    (void)reload(SAME);
    (void)reload(SAME "[DEFAULT]\nhost = other\n");
    assert_string_equal(compare(SAME "[DEFAULT]\nhost = other\n"), "[DEFAULT]host ");
}

static void all_else_needs_a_restart(void **state)
{
    (void)state;
    const char *log =
        reload("[DEFAULT]\ntransport_url = rabbit://u:an0ther@h/?heartbeat_timeout_threshold=8\n"
               "debug = false\n[service_user]\npassword = other\n[snapshot_agent]\n"
               "attach = exclusive\n");
    assert_non_null(strstr(log, "WARNING [-] needs a restart: [DEFAULT]transport_url, "
                                "[service_user]password, "
                                "[oslo_messaging_rabbit]heartbeat_timeout_threshold, "
                                "[snapshot_agent]attach\n"));
    assert_null(strstr(log, "s3cret"));
    assert_null(strstr(log, "an0ther"));
    assert_null(strstr(log, "other"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_file_changes_nothing),
        cmocka_unit_test(the_log_level_changes_and_changes_back),
        cmocka_unit_test(the_limits_change),
        cmocka_unit_test(rates_and_the_method_change),
        cmocka_unit_test(what_was_reloaded_is_in_force),
        cmocka_unit_test(all_else_needs_a_restart),
    };
    return cmocka_run_group_tests(tests, start, end);
}
