/* SPDX-License-Identifier: Apache-2.0 */
/* agent/thaw_left.c: what is done for the guests of an agent that has died. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>

#include "agent/thaw_left.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "driver/libvirt_driver.h"
#include "fixture.h"
#include "state_dir.h"
#include "tests/unit/fake_driver.h"

#define PATIENCE_MS 20000
#define OTHER_GUEST "11111111-8dab-4d5d-b039-8bb41cec430e"

static char uri[] = "qemu:///session", kvm[] = "kvm", instances[] = "/i", snapshots[] = "/s",
            host[] = STATE_HOST;
static struct conf conf;
static struct thaw_left_command command;
static struct fake_script script;
static struct driver *fake;
static struct error err;
static atomic_uint n_drivers, n_thaws, n_failures, n_waiting;

int __wrap_libvirt_driver_new(const struct libvirt_driver_options *options,
                              struct driver **ret_driver, struct error *error);

int __wrap_libvirt_driver_new(const struct libvirt_driver_options *options,
                              struct driver **ret_driver, struct error *error)
{
    atomic_fetch_add(&n_drivers, 1);
    assert_string_equal(options->connection_uri, uri);
    assert_string_equal(options->virt_type, kvm);
    assert_string_equal(options->instances_path, instances);
    assert_string_equal(options->snapshots_directory, snapshots);
    assert_int_equal(options->stall_timeout_s, 300);
    assert_int_equal(options->freeze_timeout_s, 7);
    int r = fake_driver_new(&script, ret_driver, error);
    fake = *ret_driver;
    return r;
}

static int setup(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    script = (struct fake_script){0};
    atomic_store(&n_drivers, 0);
    atomic_store(&n_thaws, 0);
    atomic_store(&n_failures, 0);
    atomic_store(&n_waiting, 0);
    state_dir_make();
    conf = (struct conf){
        .DEFAULT = {.host = host, .instances_path = instances},
        .libvirt = {.connection_uri = uri, .virt_type = kvm, .snapshots_directory = snapshots},
        .snapshot_agent = {.state_dir = state_dir.path, .stall_timeout = 300, .freeze_timeout = 7}};
    thaw_left_prepare(&command, &conf, state_dir.ledger);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return (int)state_dir_remove();
}

static void freeze(const char *uuid)
{
    assert_int_equal(freeze_ledger_add(state_dir.ledger, uuid, &err), 0);
}

static void count_thaw(enum fake_call call, const char *uuid, void *userdata)
{
    (void)uuid, (void)userdata;
    assert_int_equal(call, FAKE_THAW);
    atomic_fetch_add(&n_thaws, 1);
}

static void nothing_frozen_needs_no_hypervisor(void **state)
{
    (void)state;
    assert_int_equal(thaw_left_main(command.argv), EXIT_SUCCESS);
    assert_int_equal(atomic_load(&n_drivers), 0);
}

static void what_this_agent_froze_is_thawed(void **state)
{
    (void)state;
    struct freeze_ledger *later = NULL;
    script.on_call = count_thaw;
    freeze(FIXTURE_INSTANCE);
    assert_int_equal(freeze_ledger_open(state_dir.path, STATE_HOST, &later, &err), 0);
    assert_int_equal(freeze_ledger_add(later, OTHER_GUEST, &err), 0); /* it runs, and cares */
    assert_int_equal(thaw_left_main(command.argv), EXIT_SUCCESS);
    assert_int_equal(atomic_load(&n_thaws), 1);
    freeze_ledger_remove(later, OTHER_GUEST);
    freeze_ledger_free(later);
}

static void fail_twice(enum fake_call call, const char *uuid, void *userdata)
{
    (void)call, (void)uuid, (void)userdata;
    if (atomic_fetch_add(&n_failures, 1) == 1) {
        script.errors[FAKE_THAW] = (struct error)ERROR_INIT;
        fake_driver_set_script(fake, &script);
    }
}

static void a_thaw_that_fails_is_repeated(void **state)
{
    (void)state;
    (void)error_set(&script.errors[FAKE_THAW], ECONNREFUSED, EXC_INTERNAL_ERROR, "told to fail");
    script.on_call = fail_twice;
    freeze(FIXTURE_INSTANCE);
    assert_int_equal(thaw_left_main(command.argv), EXIT_SUCCESS);
    assert_true(atomic_load(&n_failures) >= 3);
}

static struct freeze_ledger *later_ledger;

/* The next agent starts, thaws the guest, and has to freeze it for a snapshot of its own. */
static void freeze_meanwhile(enum fake_call call, const char *uuid, void *userdata)
{
    (void)userdata;
    assert_int_equal(call, FAKE_THAW);
    if (atomic_fetch_add(&n_thaws, 1) == 0)
        assert_int_equal(freeze_ledger_add(later_ledger, uuid, &err), 0);
}

static unsigned n_noted;

static void count_note(void *arg, const char *uuid, bool by_us)
{
    (void)arg, (void)uuid;
    n_noted += by_us;
}

static void a_newer_freeze_is_left_alone(void **state)
{
    (void)state;
    (void)error_set(&script.errors[FAKE_THAW], ECONNREFUSED, EXC_INTERNAL_ERROR, "told to fail");
    script.on_call = freeze_meanwhile;
    freeze(FIXTURE_INSTANCE);
    assert_int_equal(freeze_ledger_open(state_dir.path, STATE_HOST, &later_ledger, &err), 0);
    assert_int_equal(thaw_left_main(command.argv), EXIT_SUCCESS);
    assert_int_equal(atomic_load(&n_thaws), 1);
    n_noted = 0;
    assert_int_equal(freeze_ledger_visit(later_ledger, count_note, NULL, &err), 0);
    assert_int_equal(n_noted, 1); /* the next agent's note is its own */
    freeze_ledger_remove(later_ledger, FIXTURE_INSTANCE);
    freeze_ledger_free(later_ledger);
}

/* Each waits for the other. */
static void meet(enum fake_call call, const char *uuid, void *userdata)
{
    (void)call, (void)uuid, (void)userdata;
    uint64_t end_ms = clock_now_ms() + PATIENCE_MS;
    atomic_fetch_add(&n_waiting, 1);
    while (atomic_load(&n_waiting) < 2 && clock_now_ms() < end_ms)
        (void)poll(NULL, 0, 2);
    assert_true(atomic_load(&n_waiting) >= 2);
}

static void no_guest_waits_for_another(void **state)
{
    (void)state;
    script.on_call = meet;
    freeze(FIXTURE_INSTANCE);
    freeze(OTHER_GUEST);
    assert_int_equal(thaw_left_main(command.argv), EXIT_SUCCESS);
    assert_int_equal(atomic_load(&n_waiting), 2);
}

static void it_is_told_from_other_arguments(void **state)
{
    (void)state;
    char program[] = "nova-snapshot-agent", check[] = "--check-config";
    char *const other[] = {program, check, NULL};
    char *const none[] = {program, NULL};
    assert_true(thaw_left_is_asked(THAW_LEFT_ARGUMENTS, command.argv));
    assert_false(thaw_left_is_asked(2, other));
    assert_false(thaw_left_is_asked(1, none));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_frozen_needs_no_hypervisor), TEST(what_this_agent_froze_is_thawed),
        TEST(a_thaw_that_fails_is_repeated),      TEST(no_guest_waits_for_another),
        TEST(a_newer_freeze_is_left_alone),       TEST(it_is_told_from_other_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
