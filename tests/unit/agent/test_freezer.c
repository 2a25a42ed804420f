/* SPDX-License-Identifier: Apache-2.0 */
/* agent/freezer.c: no guest stands still for longer than the deadline. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/freezer.h"
#include "common/clock.h"
#include "fixture.h"
#include "state_dir.h"
#include "tests/unit/fake_driver.h"

#define PATIENCE_MS 10000

static struct driver *driver;
static struct freezer *freezer;
static struct fake_script script;
static struct error err;

static void start(unsigned deadline_ms)
{
    script = (struct fake_script){0};
    err = (struct error)ERROR_INIT;
    state_dir_make();
    assert_int_equal(fake_driver_new(&script, &driver, &err), 0);
    assert_int_equal(freezer_new(driver, state_dir.ledger, deadline_ms, &freezer, &err), 0);
}

static int teardown(void **state)
{
    (void)state;
    freezer_free(freezer);
    driver_free(driver);
    assert_int_equal(state_dir_remove(), 0);
    return 0;
}

static unsigned calls(enum fake_call call)
{
    struct fake_record record;
    fake_driver_get_record(driver, &record);
    return record.calls[call];
}

static bool is_frozen(void)
{
    struct fake_record record;
    fake_driver_get_record(driver, &record);
    return record.frozen;
}

static void await_calls(enum fake_call call, unsigned n)
{
    uint64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    while (calls(call) < n && clock_now_ms() < deadline_ms)
        (void)poll(NULL, 0, 1);
    assert_true(calls(call) >= n);
}

/* The call is counted before the guest is thawed, and that before it is forgotten. */
static void await_thawed(unsigned thaws)
{
    uint64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    await_calls(FAKE_THAW, thaws);
    while ((is_frozen() || freezer_holds(freezer, FIXTURE_INSTANCE)) &&
           clock_now_ms() < deadline_ms)
        (void)poll(NULL, 0, 1);
    assert_false(freezer_holds(freezer, FIXTURE_INSTANCE));
    assert_false(is_frozen());
}

static void thaws_when_asked(void **state)
{
    (void)state;
    start(PATIENCE_MS);
    assert_false(freezer_holds(freezer, FIXTURE_INSTANCE));
    assert_int_equal(freezer_freeze(freezer, FIXTURE_INSTANCE, &err), 0);
    assert_true(is_frozen());
    assert_true(freezer_holds(freezer, FIXTURE_INSTANCE));
    assert_in_range(freezer_left_ms(freezer, FIXTURE_INSTANCE), 1, PATIENCE_MS);
    assert_int_equal(freezer_thaw(freezer, FIXTURE_INSTANCE, &err), 0);
    assert_false(is_frozen());
    assert_false(freezer_holds(freezer, FIXTURE_INSTANCE));
    assert_int_equal(freezer_left_ms(freezer, FIXTURE_INSTANCE), 0);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_INSTANCE, &err), 0);
}

static void thaws_at_the_deadline(void **state)
{
    (void)state;
    start(1);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_INSTANCE, &err), 0);
    await_thawed(1);
}

static void refuses_a_second_freeze(void **state)
{
    (void)state;
    start(PATIENCE_MS);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_INSTANCE, &err), 0);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_INSTANCE, &err), -EBUSY);
    assert_string_equal(err.exc, EXC_INTERNAL_ERROR);
    assert_int_equal(calls(FAKE_FREEZE), 1);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_IMAGE, &err), 0); /* another guest */
}

static void forgets_a_guest_that_refused(void **state)
{
    (void)state;
    start(PATIENCE_MS);
    (void)error_set(&script.errors[FAKE_FREEZE], EIO, EXC_INTERNAL_ERROR, "no agent");
    fake_driver_set_script(driver, &script);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_INSTANCE, &err), -EIO);
    assert_false(freezer_holds(freezer, FIXTURE_INSTANCE));
    freezer_free(freezer);
    freezer = NULL;
    assert_int_equal(calls(FAKE_THAW), 0);
}

/* A freeze whose answer was lost may still be carried out. */
static void thaws_after_a_lost_answer(void **state)
{
    (void)state;
    start(PATIENCE_MS);
    (void)error_set(&script.errors[FAKE_FREEZE], ETIMEDOUT, EXC_INTERNAL_ERROR, "lost");
    fake_driver_set_script(driver, &script);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_INSTANCE, &err), -ETIMEDOUT);
    await_thawed(1);
}

static void goes_on_trying(void **state)
{
    (void)state;
    start(PATIENCE_MS);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_INSTANCE, &err), 0);
    (void)error_set(&script.errors[FAKE_THAW], EIO, EXC_INTERNAL_ERROR, "busy");
    fake_driver_set_script(driver, &script);
    assert_int_equal(freezer_thaw(freezer, FIXTURE_INSTANCE, &err), -EIO);
    script.errors[FAKE_THAW] = (struct error)ERROR_INIT;
    fake_driver_set_script(driver, &script);
    await_thawed(2);
}

/* nova-compute may have frozen it, or the agent was restarted. */
static void thaws_what_another_froze(void **state)
{
    (void)state;
    start(PATIENCE_MS);
    assert_int_equal(freezer_thaw(freezer, FIXTURE_INSTANCE, &err), 0);
    assert_int_equal(calls(FAKE_THAW), 1);
}

static void leaves_no_guest_frozen_at_its_end(void **state)
{
    (void)state;
    start(PATIENCE_MS);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_INSTANCE, &err), 0);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_IMAGE, &err), 0);
    freezer_free(freezer);
    freezer = NULL;
    assert_int_equal(calls(FAKE_THAW), 2);
}

/* Workers may still be there: nothing is freed, and each guest is asked once. */
static void thaws_all_before_the_end(void **state)
{
    (void)state;
    start(PATIENCE_MS);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_INSTANCE, &err), 0);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_IMAGE, &err), 0);
    (void)error_set(&script.errors[FAKE_THAW], EIO, EXC_INTERNAL_ERROR, "busy");
    fake_driver_set_script(driver, &script);
    freezer_thaw_all(freezer);
    assert_int_equal(calls(FAKE_THAW), 2);
    freezer_thaw_all(freezer);
    assert_int_equal(calls(FAKE_THAW), 2);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_INSTANCE, &err), -ECANCELED);
    assert_false(freezer_holds(freezer, FIXTURE_INSTANCE));
}

static void count_entry(void *arg, const char *uuid, bool by_us)
{
    (void)uuid;
    unsigned *n = arg;
    n[by_us]++;
}

static void the_ledger_outlives_the_agent(void **state)
{
    (void)state;
    unsigned n[2] = {0};
    struct freeze_ledger *later = NULL;
    thaws_all_before_the_end(state);
    assert_int_equal(freeze_ledger_open(state_dir.path, STATE_HOST, &later, &err), 0);
    assert_int_equal(freeze_ledger_visit(state_dir.ledger, count_entry, n, &err), 0);
    assert_int_equal(n[true], 2);
    assert_int_equal(freeze_ledger_visit(later, count_entry, n, &err), 0);
    assert_int_equal(n[false], 2);
    freeze_ledger_free(later);
    freezer_free(freezer);
    driver_free(driver);

    script = (struct fake_script){0};
    assert_int_equal(fake_driver_new(&script, &driver, &err), 0);
    assert_int_equal(freezer_new(driver, state_dir.ledger, PATIENCE_MS, &freezer, &err), 0);
    assert_int_equal(freezer_take_over(freezer, &err), 0);
    await_calls(FAKE_THAW, 2);
}

static void nothing_is_frozen_that_cannot_be_written_down(void **state)
{
    (void)state;
    char file[200], folder[128];
    start(PATIENCE_MS);
    (void)snprintf(folder, sizeof(folder), "%s/" STATE_HOST ".frozen", state_dir.path);
    (void)snprintf(file, sizeof(file), "%s/%s", folder, FIXTURE_INSTANCE);
    assert_int_equal(symlink("elsewhere", file), 0);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_INSTANCE, &err), -ELOOP);
    assert_int_equal(calls(FAKE_FREEZE), 0);
}

/* Others than the agent may have written it. */
static void a_planted_note_thaws_nobody(void **state)
{
    (void)state;
    unsigned n[2] = {0};
    char file[200];
    start(PATIENCE_MS);
    assert_int_equal(freeze_ledger_add(state_dir.ledger, FIXTURE_INSTANCE, &err), 0);
    (void)snprintf(file, sizeof(file), "%s/" STATE_HOST ".frozen/" FIXTURE_INSTANCE,
                   state_dir.path);
    assert_int_equal(chmod(file, 0666), 0);
    assert_int_equal(freeze_ledger_visit(state_dir.ledger, count_entry, n, &err), 0);
    assert_int_equal(n[false] + n[true], 0);
    assert_int_equal(freezer_freeze(freezer, FIXTURE_INSTANCE, &err), -EPERM);
    assert_int_equal(calls(FAKE_FREEZE), 0);
}

/* The file it would name is not emptied. */
static void a_note_with_two_names_is_not_written(void **state)
{
    (void)state;
    char file[200], other[200];
    struct stat st;
    start(PATIENCE_MS);
    (void)snprintf(other, sizeof(other), "%s/other", state_dir.path);
    (void)snprintf(file, sizeof(file), "%s/" STATE_HOST ".frozen/" FIXTURE_INSTANCE,
                   state_dir.path);
    assert_int_equal(freeze_ledger_add(state_dir.ledger, FIXTURE_INSTANCE, &err), 0);
    assert_int_equal(link(file, other), 0);
    assert_int_equal(freeze_ledger_add(state_dir.ledger, FIXTURE_INSTANCE, &err), -EPERM);
    assert_int_equal(stat(other, &st), 0);
    assert_true(st.st_size > 0);
    assert_int_equal(unlink(other), 0);
    freeze_ledger_remove(state_dir.ledger, FIXTURE_INSTANCE);
}

/* A full disk: nothing is left that a later agent would take for a frozen guest. */
static void a_note_that_is_not_whole_goes(void **state)
{
    (void)state;
    unsigned n[2] = {0};
    struct rlimit limit;
    start(PATIENCE_MS);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int r = freezer_freeze(freezer, FIXTURE_INSTANCE, &err);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(r, -ENOSPC);
    assert_int_equal(calls(FAKE_FREEZE), 0);
    assert_int_equal(freeze_ledger_visit(state_dir.ledger, count_entry, n, &err), 0);
    assert_int_equal(n[false] + n[true], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(thaws_when_asked, teardown),
        cmocka_unit_test_teardown(thaws_at_the_deadline, teardown),
        cmocka_unit_test_teardown(refuses_a_second_freeze, teardown),
        cmocka_unit_test_teardown(forgets_a_guest_that_refused, teardown),
        cmocka_unit_test_teardown(thaws_after_a_lost_answer, teardown),
        cmocka_unit_test_teardown(goes_on_trying, teardown),
        cmocka_unit_test_teardown(thaws_what_another_froze, teardown),
        cmocka_unit_test_teardown(leaves_no_guest_frozen_at_its_end, teardown),
        cmocka_unit_test_teardown(the_ledger_outlives_the_agent, teardown),
        cmocka_unit_test_teardown(nothing_is_frozen_that_cannot_be_written_down, teardown),
        cmocka_unit_test_teardown(a_planted_note_thaws_nobody, teardown),
        cmocka_unit_test_teardown(a_note_with_two_names_is_not_written, teardown),
        cmocka_unit_test_teardown(a_note_that_is_not_whole_goes, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
