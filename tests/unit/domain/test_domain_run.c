/* SPDX-License-Identifier: Apache-2.0 */
/* domain/domain_run.c: which run of a guest it is; libvirt's test driver, and scripted processes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "domain/domain_run.h"
#include "driver/libvirt/qemu_process.h"
#include "tests/unit/domain/libvirt_session.h"

static const char *mark;   /* of the guest's process; NULL: it is not shown */
static unsigned connected; /* so often */

int __wrap_qemu_process_directory(const char *uri, char ret_path[static PATH_MAX],
                                  struct error *error);
int __wrap_qemu_process_directory(const char *uri, char ret_path[static PATH_MAX],
                                  struct error *error)
{
    (void)error;
    assert_string_equal(uri, "test:///default");
    (void)snprintf(ret_path, PATH_MAX, "/pids");
    return 0;
}

int __wrap_qemu_process_mark_of(const char *pid_directory, const char *name, const char *uuid,
                                char ret_mark[static QEMU_PROCESS_MARK_SIZE], struct error *error);
int __wrap_qemu_process_mark_of(const char *pid_directory, const char *name, const char *uuid,
                                char ret_mark[static QEMU_PROCESS_MARK_SIZE], struct error *error)
{
    assert_string_equal(pid_directory, "/pids");
    assert_string_equal(name, "test");
    assert_string_equal(uuid, session->uuid);
    if (!mark)
        return error_set(error, EIO, EXC_INTERNAL_ERROR, "it hides");
    (void)snprintf(ret_mark, QEMU_PROCESS_MARK_SIZE, "%s", mark);
    return 0;
}

unsigned __wrap_libvirt_connection_number(struct libvirt_connection *connection);
unsigned __wrap_libvirt_connection_number(struct libvirt_connection *connection)
{
    (void)connection;
    return connected;
}

static int set_up(void **state)
{
    (void)state;
    mark = NULL;
    connected = 1;
    begin_session();
    return 0;
}

static int tear_down(void **state)
{
    if (virDomainIsActive(session->domain) == 0)
        (void)virDomainCreate(session->domain);
    return end_session(state);
}

static json_t *run_of_now(void)
{
    json_t *run = NULL;
    need(domain_run_read(session, &run, &err));
    return run;
}

static json_t *run_with(const char *of_process)
{
    mark = of_process;
    return run_of_now();
}

/* Takes both. */
static enum domain_run_likeness compare(json_t *noted, json_t *now)
{
    enum domain_run_likeness likeness = domain_run_compare(session->record, noted, now);
    json_decref(noted);
    json_decref(now);
    return likeness;
}

static void the_process_tells(void **state)
{
    (void)state;
    assert_int_equal(compare(run_with("a"), run_with("a")), DOMAIN_RUN_SAME);
    assert_int_equal(compare(run_with("a"), run_with("b")), DOMAIN_RUN_OTHER);
    assert_int_equal(compare(run_with("a"), run_with(NULL)), DOMAIN_RUN_UNKNOWN);
    assert_int_equal(compare(run_with(NULL), run_with("a")), DOMAIN_RUN_UNKNOWN);
    assert_int_equal(compare(NULL, run_with("a")), DOMAIN_RUN_UNKNOWN); /* an old record */
}

static void another_id_is_another_run(void **state)
{
    (void)state;
    json_t *other = json_pack("{s:i, s:s}", "id", 4711, "qemu", "a");
    assert_int_equal(compare(other, run_with("a")), DOMAIN_RUN_OTHER);
    json_t *none = json_pack("{s:i}", "id", -1);
    assert_int_equal(compare(none, run_with(NULL)), DOMAIN_RUN_OTHER);
}

/* Until it ends, or libvirtd does. */
static void without_one_the_command_tells(void **state)
{
    (void)state;
    json_t *first = run_with(NULL);
    assert_int_equal(compare(json_incref(first), run_with(NULL)), DOMAIN_RUN_SAME);
    connected = 2;
    assert_int_equal(compare(first, run_with(NULL)), DOMAIN_RUN_UNKNOWN);
}

static void one_that_has_ended(void **state)
{
    (void)state;
    json_t *then = run_with("a");
    assert_true(domain_run_is_active(then));
    assert_int_equal(virDomainDestroy(session->domain), 0);
    json_t *now = run_with("a");
    assert_false(domain_run_is_active(now));
    assert_int_equal(compare(then, now), DOMAIN_RUN_OTHER);
    assert_false(domain_run_is_active(NULL));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_process_tells),
        TEST(another_id_is_another_run),
        TEST(without_one_the_command_tells),
        TEST(one_that_has_ended),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
