/* SPDX-License-Identifier: Apache-2.0 */
/* domain/branch_settle.c: a branch that goes ends in the old or the new state, wherever it fails;
 * libvirt's test driver, and scripted files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "domain/branch_need.h"
#include "domain/branch_relink.h"
#include "domain/branch_settle.h"
#include "domain/deletion_settle.h"
#include "domain/layer_map.h"
#include "domain/merge_end.h"
#include "tests/unit/driver/temp_folder.h"

static struct error err;
static struct session *session;
static char steps[64]; /* what was done, a letter each */
static char fails_at;  /* with EIO */
static bool is_needed; /* by somebody else */

static int step(char letter, struct error *error)
{
    steps[strlen(steps)] = letter;
    return letter == fails_at ? error_set(error, EIO, EXC_INTERNAL_ERROR, "%c fails", letter) : 0;
}

int __wrap_layer_map_read(const struct session *of, struct layer_map *ret_map, struct error *error);
int __wrap_layer_map_read(const struct session *of, struct layer_map *ret_map, struct error *error)
{
    (void)of;
    *ret_map = (struct layer_map){0};
    return step('r', error);
}

int __wrap_branch_need_check(const struct layer_map *map, const json_t *branch,
                             struct error *error);
int __wrap_branch_need_check(const struct layer_map *map, const json_t *branch, struct error *error)
{
    (void)map, (void)branch;
    return is_needed ? error_set(error, EINVAL, EXC_INTERNAL_ERROR, "somebody needs it") : 0;
}

int __wrap_branch_relink_make(const json_t *relinks, struct error *error);
int __wrap_branch_relink_make(const json_t *relinks, struct error *error)
{
    assert_int_equal(json_array_size(relinks), 1);
    assert_true(branch_settle_has_begun(session)); /* it is noted before anything is made */
    return step('m', error);
}

int __wrap_branch_relink_snapshots(virDomainPtr domain, const json_t *relinks, struct error *error);
int __wrap_branch_relink_snapshots(virDomainPtr domain, const json_t *relinks, struct error *error)
{
    (void)domain, (void)relinks;
    return step('l', error);
}

/* The test driver knows of no metadata. */
int __wrap_merge_end_metadata(virDomainPtr domain, const char *name, struct error *error);
int __wrap_merge_end_metadata(virDomainPtr domain, const char *name, struct error *error)
{
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(domain, name, 0);
    if (snapshot) {
        assert_int_equal(virDomainSnapshotDelete(snapshot, 0), 0);
        (void)virDomainSnapshotFree(snapshot);
    }
    return step('d', error);
}

static int count_snapshots(void)
{
    return virDomainSnapshotNum(session->domain, 0);
}

int __wrap_merge_end_files(const struct session *of, const json_t *note, struct error *error);
int __wrap_merge_end_files(const struct session *of, const json_t *note, struct error *error)
{
    (void)of;
    assert_string_equal(json_string_value(json_object_get(note, "snapshot")), "left");
    return step('f', error);
}

static void add_snapshot(const char *name)
{
    char xml[256];
    (void)snprintf(xml, sizeof(xml), "<domainsnapshot><name>%s</name></domainsnapshot>", name);
    virDomainSnapshotPtr snapshot = virDomainSnapshotCreateXML(session->domain, xml, 0);
    assert_non_null(snapshot);
    (void)virDomainSnapshotFree(snapshot);
}

static int set_up(void **state)
{
    (void)state;
    const struct session_options options = {
        .uri = "test:///default", .state_dir = temp_folder, .lock_folder = temp_path("locks")};
    err = (struct error)ERROR_INIT;
    memset(steps, 0, sizeof(steps));
    fails_at = 0;
    is_needed = false;
    session = NULL;
    if (session_open(&options, "test", &session, &err) < 0)
        return -1;
    add_snapshot("left");
    add_snapshot("other");
    return record_note(session->record, "branch",
                       json_pack("{s:b, s:s, s:[], s:[{s:s}]}", "branch", true, "snapshot", "left",
                                 "disks", "relink", "snapshot", "other"),
                       &err);
}

static int tear_down(void **state)
{
    (void)state;
    (void)record_end(session->record, &err);
    session_close(session);
    return 0;
}

static void need(int r)
{
    if (r < 0)
        fail_msg("%s", err.message);
}

static void all_of_it(void **state)
{
    (void)state;
    need(branch_settle_run(session, &err));
    assert_string_equal(steps, "rmldf");
    assert_int_equal(count_snapshots(), 1);
}

static void what_had_not_begun(void **state)
{
    (void)state;
    need(deletion_settle(session, &err));
    assert_string_equal(steps, "");
    fails_at = 'r'; /* nothing was begun yet */
    assert_int_equal(branch_settle_run(session, &err), -EIO);
    assert_false(branch_settle_has_begun(session));
    assert_int_equal(count_snapshots(), 2);
}

static void where_it_failed_it_goes_on(void **state)
{
    (void)state;
    static const char points[] = "mldf";
    for (const char *point = points; *point != '\0'; point++) {
        fails_at = *point;
        err = (struct error)ERROR_INIT;
        assert_int_equal(point == points ? branch_settle_run(session, &err)
                                         : deletion_settle(session, &err),
                         -EIO);
        assert_true(branch_settle_has_begun(session));
        assert_int_equal(count_snapshots(), *point == 'd' || *point == 'f' ? 1 : 2);
    }
    fails_at = 0;
    memset(steps, 0, sizeof(steps));
    err = (struct error)ERROR_INIT;
    need(deletion_settle(session, &err));
    assert_string_equal(steps, "f");
}

/* One of its name that was made since is another one. */
static void it_is_forgotten_once(void **state)
{
    (void)state;
    fails_at = 'f';
    assert_int_equal(branch_settle_run(session, &err), -EIO);
    add_snapshot("left");
    fails_at = 0;
    err = (struct error)ERROR_INIT;
    need(deletion_settle(session, &err));
    assert_int_equal(count_snapshots(), 2);
}

static void whoever_came_since_keeps_it(void **state)
{
    (void)state;
    fails_at = 'l';
    assert_int_equal(branch_settle_run(session, &err), -EIO);
    fails_at = 0;
    is_needed = true;
    err = (struct error)ERROR_INIT;
    need(deletion_settle(session, &err)); /* told of, and given up */
    assert_false(branch_settle_has_begun(session));
    assert_null(record_all(session->record, "branch"));
    assert_int_equal(count_snapshots(), 2);
    assert_null(strchr(steps, 'f'));
}

static void a_domain_that_has_gone(void **state)
{
    (void)state;
    fails_at = 'm';
    assert_int_equal(branch_settle_run(session, &err), -EIO);
    fails_at = 0;
    (void)snprintf(session->uuid, sizeof(session->uuid), "%s",
                   "00000000-0000-4000-8000-000000000000");
    err = (struct error)ERROR_INIT;
    need(deletion_settle(session, &err));
    assert_null(strchr(steps, 'f'));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(all_of_it),
        TEST(what_had_not_begun),
        TEST(where_it_failed_it_goes_on),
        TEST(it_is_forgotten_once),
        TEST(whoever_came_since_keeps_it),
        TEST(a_domain_that_has_gone),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
