/* SPDX-License-Identifier: Apache-2.0 */
/* domain/checkpoint_delete.c: what an interrupted one leaves behind, and who is told to go on with
 * it; libvirt's test driver, and a scripted merge. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "domain/checkpoint_delete.h"
#include "domain/deletion_settle.h"
#include "domain/flatten_plan.h"
#include "domain/merge_check.h"
#include "tests/unit/domain/libvirt_session.h"

static bool begins; /* before it is interrupted */

int __wrap_merge_check_domain(const struct session *of, struct error *error);
int __wrap_merge_check_domain(const struct session *of, struct error *error)
{
    (void)of, (void)error;
    return 0;
}

int __wrap_flatten_plan(const struct session *of, const char *const *disks, size_t count,
                        json_t **ret_merge, struct error *error);
int __wrap_flatten_plan(const struct session *of, const char *const *disks, size_t count,
                        json_t **ret_merge, struct error *error)
{
    (void)of, (void)disks, (void)count, (void)error;
    *ret_merge = json_pack("{s:[{s:s}]}", "disks", "target", "vda");
    return 0;
}

int __wrap_merge_check(const struct session *of, const json_t *merge, const json_t *before,
                       struct error *error);
int __wrap_merge_check(const struct session *of, const json_t *merge, const json_t *before,
                       struct error *error)
{
    (void)of, (void)merge, (void)before, (void)error;
    return 0;
}

int __wrap_deletion_settle_run(struct session *of, struct error *error);
int __wrap_deletion_settle_run(struct session *of, struct error *error)
{
    if (begins)
        need(record_note(of->record, "merging", json_object(), &err));
    return error_set(error, ECANCELED, EXC_INTERNAL_ERROR, "interrupted by signal 2");
}

static int set_up(void **state)
{
    (void)state;
    begin_session();
    return 0;
}

static void flatten_interrupted(void)
{
    const struct delete_request request = {.disks = NULL};
    json_t *done = NULL;
    assert_int_equal(checkpoint_delete_flatten(session, &request, &done, &err), -ECANCELED);
    assert_int_equal(json_array_size(done), 0);
    json_decref(done);
}

static void before_it_has_begun_nothing_is_left(void **state)
{
    (void)state;
    begins = false;
    flatten_interrupted();
    assert_string_equal(err.message, "interrupted by signal 2");
    assert_true(record_is_empty(session->record));
}

/* Who wanted it to stop is told that it does not. */
static void what_has_begun_is_gone_on_with_by_the_timer_too(void **state)
{
    (void)state;
    begins = true;
    flatten_interrupted();
    assert_non_null(strstr(err.message, "interrupted by signal 2; the next command on the domain"));
    assert_non_null(strstr(err.message, "nova-snapshot-domain-recover.timer starts each minute"));
    assert_non_null(record_all(session->record, "merge"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, end_session)
    const struct CMUnitTest tests[] = {
        TEST(before_it_has_begun_nothing_is_left),
        TEST(what_has_begun_is_gone_on_with_by_the_timer_too),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
