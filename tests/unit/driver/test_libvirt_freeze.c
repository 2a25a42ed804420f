/* SPDX-License-Identifier: Apache-2.0 */
/* driver/libvirt_freeze.c: what a caller is told of a guest that froze, did not, or may have. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "driver/libvirt/guest_freeze.h"
#include "tests/unit/driver/scripted_libvirt.h"

static struct libvirt_driver driver = {.freeze_timeout_s = 5};
static struct error err;

static int set_up(void **state)
{
    (void)state;
    world_reset();
    err = (struct error)ERROR_INIT;
    return 0;
}

static void assert_agent_is_free(void)
{
    assert_int_equal(world.agent_timeout_s, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
}

static void freezes_and_thaws(void **state)
{
    (void)state;
    assert_int_equal(libvirt_freeze(&driver, UUID, &err), 0);
    assert_true(world.frozen);
    assert_agent_is_free();
    assert_true(place_of("GetTime") < place_of("FSFreeze"));
    assert_int_equal(libvirt_thaw(&driver, UUID, &err), 0);
    assert_false(world.frozen);
    assert_agent_is_free();
    assert_int_equal(libvirt_thaw(&driver, UUID, &err), 0); /* nothing to thaw */
    assert_int_equal(err.errnum, 0);
}

/* As nova has it. What the agent's hooks hold still waits for the thaw. */
static void nothing_to_freeze_is_no_failure(void **state)
{
    (void)state;
    world.has_nothing = true;
    assert_int_equal(libvirt_freeze(&driver, UUID, &err), 0);
    assert_int_equal(libvirt_thaw(&driver, UUID, &err), 0);
    assert_true(was_called("FSThaw"));
    assert_agent_is_free();
}

static void guest_that_cannot_answer_is_not_asked(void **state)
{
    static const int states[] = {VIR_DOMAIN_PAUSED, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_CRASHED,
                                 VIR_DOMAIN_PMSUSPENDED};
    for (size_t i = 0; i <= sizeof(states) / sizeof(states[0]); i++) {
        set_up(state);
        world.exists = i > 0;
        if (world.exists)
            world.state = states[i - 1];
        assert_int_equal(libvirt_freeze(&driver, UUID, &err), -ENOENT);
        assert_string_equal(err.exc, EXC_INSTANCE_NOT_RUNNING);
        assert_string_equal(err.message, "Instance " UUID " is not running.");
        assert_false(was_called("AgentSetResponseTimeout"));
    }
}

static void lost_answer_is_told_from_a_refusal(void **state)
{
    (void)state;
    world.fail_name = "FSFreeze";
    world.fail_code = VIR_ERR_AGENT_UNRESPONSIVE;
    world.fail_with_effect = true;
    assert_int_equal(libvirt_freeze(&driver, UUID, &err), -ETIMEDOUT);
    assert_int_equal(err.errnum, ETIMEDOUT);
    assert_string_equal(err.exc, EXC_INSTANCE_QUIESCE_FAILED);
    assert_true(world.frozen); /* only a thaw ends it */
    assert_agent_is_free();
    assert_int_equal(libvirt_thaw(&driver, UUID, &err), 0);
    assert_false(world.frozen);

    set_up(state);
    world.fail_name = "FSFreeze";
    world.fail_code = VIR_ERR_INTERNAL_ERROR;
    assert_int_equal(libvirt_freeze(&driver, UUID, &err), -EIO);
    assert_string_equal(err.exc, EXC_LIBVIRT_ERROR);
    assert_true(was_called("FSThaw")); /* of what froze before it failed */
    assert_agent_is_free();

    set_up(state);
    world.fail_name = "GetTime";
    world.fail_code = VIR_ERR_AGENT_UNRESPONSIVE;
    assert_int_equal(libvirt_freeze(&driver, UUID, &err), -EIO); /* it was not asked to freeze */
    assert_string_equal(err.exc, EXC_INSTANCE_QUIESCE_FAILED);
    assert_non_null(strstr(err.message, "the guest agent does not answer"));
    assert_false(was_called("FSFreeze"));
    assert_agent_is_free();
}

/* nova tells this one of libvirt's errors from all others, the absent agent's included. */
static void only_an_unresponsive_agent_has_its_class(void **state)
{
    static const struct {
        const char *call;
        int code;
        const char *exc;
    } failures[] = {{"GetTime", VIR_ERR_AGENT_UNRESPONSIVE, EXC_INSTANCE_QUIESCE_FAILED},
                    {"GetTime", VIR_ERR_AGENT_UNSYNCED, EXC_LIBVIRT_ERROR},
                    {"GetTime", VIR_ERR_ARGUMENT_UNSUPPORTED, EXC_LIBVIRT_ERROR},
                    {"GetTime", VIR_ERR_OPERATION_INVALID, EXC_LIBVIRT_ERROR},
                    {"FSFreeze", VIR_ERR_AGENT_UNRESPONSIVE, EXC_INSTANCE_QUIESCE_FAILED},
                    {"FSFreeze", VIR_ERR_AGENT_UNSYNCED, EXC_LIBVIRT_ERROR},
                    {"FSFreeze", VIR_ERR_INTERNAL_ERROR, EXC_LIBVIRT_ERROR},
                    {"AgentSetResponseTimeout", VIR_ERR_OPERATION_INVALID, EXC_LIBVIRT_ERROR}};
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        set_up(state);
        world.fail_name = failures[i].call;
        world.fail_code = failures[i].code;
        assert_true(libvirt_freeze(&driver, UUID, &err) < 0);
        assert_string_equal(err.exc, failures[i].exc);
    }
}

static void freeze_of_somebody_else_is_refused_and_kept(void **state)
{
    (void)state;
    world.frozen_by_other = true;
    assert_int_equal(libvirt_freeze(&driver, UUID, &err), -EIO);
    assert_false(was_called("FSThaw"));
    assert_agent_is_free();
}

/* Before it is saved. */
static void a_frozen_guest_is_told_from_others(void **state)
{
    (void)state;
    struct guest_freeze freeze = {.timeout_s = 5};
    cleanup_domain virDomainPtr domain = NULL;
    assert_int_equal(libvirt_connection_find_domain(driver.connection, UUID, 0,
                                                    EXC_INSTANCE_NOT_FOUND, &domain, &err),
                     0);
    assert_int_equal(guest_freeze_check_thawed(&freeze, domain, &err), 0);
    assert_agent_is_free();
    world.fail_name = "GetTime"; /* no agent, no freeze */
    world.fail_code = VIR_ERR_AGENT_UNRESPONSIVE;
    assert_int_equal(guest_freeze_check_thawed(&freeze, domain, &err), 0);
    world.fail_name = NULL;
    world.frozen_by_other = true;
    assert_int_equal(guest_freeze_check_thawed(&freeze, domain, &err), -EBUSY);
    assert_false(was_called("FSThaw"));
    assert_agent_is_free();
}

static void find_domain(virDomainPtr *ret_domain)
{
    if (libvirt_connection_find_domain(driver.connection, UUID, 0, EXC_INSTANCE_NOT_FOUND,
                                       ret_domain, &err) < 0)
        fail_msg("%s", err.message);
}

/* By a caller that is gone: only an agent that says so makes a guest a thawed one. */
static void a_freeze_that_was_left_is_ended(void **state)
{
    (void)state;
    struct guest_freeze freeze = {.timeout_s = 5};
    cleanup_domain virDomainPtr domain = NULL;
    find_domain(&domain);
    assert_int_equal(guest_freeze_end_left(&freeze, domain, &err), 0);
    assert_false(was_called("FSThaw"));
    assert_agent_is_free();
    world.frozen = true;
    assert_int_equal(guest_freeze_end_left(&freeze, domain, &err), 0);
    assert_false(world.frozen);
    assert_agent_is_free();
    world.frozen = true;
    world.fail_name = "GetTime"; /* as just after libvirtd was started anew */
    world.fail_code = VIR_ERR_AGENT_UNSYNCED;
    assert_int_equal(guest_freeze_end_left(&freeze, domain, &err), 0);
    assert_false(world.frozen);
}

static void a_freeze_that_may_be_left_is_told(void **state)
{
    (void)state;
    struct guest_freeze freeze = {.timeout_s = 5};
    cleanup_domain virDomainPtr domain = NULL;
    find_domain(&domain);
    world.frozen = true;
    world.fail_name = "AgentSetResponseTimeout";
    assert_int_equal(guest_freeze_end_left(&freeze, domain, &err), -EIO);
    world.fail_name = NULL;
    world.thaw_failures = 1;
    assert_int_equal(guest_freeze_end_left(&freeze, domain, &err), -EIO);
    assert_agent_is_free();
    assert_int_equal(guest_freeze_end_left(&freeze, domain, &err), 0);
    assert_false(world.frozen);
}

/* Before libvirt is asked to freeze: of a guest that does not answer nobody could tell later. */
static void a_guest_that_cannot_tell_is_not_thawed(void **state)
{
    (void)state;
    struct guest_freeze freeze = {.timeout_s = 5};
    cleanup_domain virDomainPtr domain = NULL;
    find_domain(&domain);
    assert_int_equal(guest_freeze_need_thawed(&freeze, domain, &err), 0);
    world.fail_name = "GetTime";
    world.fail_code = VIR_ERR_AGENT_UNRESPONSIVE;
    assert_int_equal(guest_freeze_need_thawed(&freeze, domain, &err), -EIO);
    world.fail_name = NULL;
    world.frozen_by_other = true;
    assert_int_equal(guest_freeze_need_thawed(&freeze, domain, &err), -EBUSY);
    assert_agent_is_free();
}

static void ended_guest_needs_no_thaw(void **state)
{
    (void)state;
    world.exists = false;
    assert_int_equal(libvirt_thaw(&driver, UUID, &err), 0);
    assert_false(was_called("FSThaw"));

    set_up(state);
    world.active = false;
    world.state = VIR_DOMAIN_SHUTOFF;
    world.fail_name = "AgentSetResponseTimeout";
    world.fail_code = VIR_ERR_OPERATION_INVALID;
    assert_int_equal(libvirt_thaw(&driver, UUID, &err), 0);
    assert_int_equal(err.errnum, 0);
}

static void thaw_that_fails_is_told_and_may_be_repeated(void **state)
{
    (void)state;
    world.frozen = true;
    world.fail_name = "FSThaw";
    world.fail_code = VIR_ERR_AGENT_UNRESPONSIVE;
    assert_int_equal(libvirt_thaw(&driver, UUID, &err), -EIO);
    assert_string_equal(err.exc, EXC_INSTANCE_QUIESCE_FAILED);
    assert_non_null(strstr(err.message, "cannot thaw the guest's filesystems"));
    assert_agent_is_free();
    world.fail_name = NULL;
    assert_int_equal(libvirt_thaw(&driver, UUID, &err), 0);
    assert_false(world.frozen);
}

/* Whatever call fails, the guest is frozen exactly when that is what the caller hears. */
static void each_call_fails_in_turn(void **state)
{
    for (int with_effect = 0; with_effect <= 1; with_effect++) {
        for (int index = 0;; index++) {
            set_up(state);
            world.fail_index = index;
            world.fail_with_effect = with_effect;
            int r = libvirt_freeze(&driver, UUID, &err);
            if (world.call_count <= index)
                break;
            assert_int_equal(world.frozen, r == 0);
            if (strcmp(world.calls[index], "AgentSetResponseTimeout") != 0)
                assert_agent_is_free();
        }
        assert_true(world.call_count >= 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(freezes_and_thaws, set_up),
        cmocka_unit_test_setup(nothing_to_freeze_is_no_failure, set_up),
        cmocka_unit_test(guest_that_cannot_answer_is_not_asked),
        cmocka_unit_test_setup(lost_answer_is_told_from_a_refusal, set_up),
        cmocka_unit_test(only_an_unresponsive_agent_has_its_class),
        cmocka_unit_test_setup(freeze_of_somebody_else_is_refused_and_kept, set_up),
        cmocka_unit_test_setup(a_frozen_guest_is_told_from_others, set_up),
        cmocka_unit_test_setup(a_freeze_that_was_left_is_ended, set_up),
        cmocka_unit_test_setup(a_freeze_that_may_be_left_is_told, set_up),
        cmocka_unit_test_setup(a_guest_that_cannot_tell_is_not_thawed, set_up),
        cmocka_unit_test_setup(ended_guest_needs_no_thaw, set_up),
        cmocka_unit_test_setup(thaw_that_fails_is_told_and_may_be_repeated, set_up),
        cmocka_unit_test(each_call_fails_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
