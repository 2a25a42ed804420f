/* SPDX-License-Identifier: Apache-2.0 */
/* agent/owner.c: what nova is understood to mean to do with an instance. */
#include "agent/owner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/conductor.h"
#include "agent/operation.h"
#include "agent/recover.h"
#include "amqp/bus.h"
#include "conf/conf.h"
#include "fixture.h"

static struct agent agent;
static struct conf conf;
static struct operation op;
static struct instance_states states;
static struct error answer, err;

int __wrap_conductor_instance_states(struct bus *bus, const struct request_context *context,
                                     const char *instance_uuid, struct instance_states *ret_states,
                                     struct error *error);
int __wrap_conductor_instance_states(struct bus *bus, const struct request_context *context,
                                     const char *instance_uuid, struct instance_states *ret_states,
                                     struct error *error)
{
    (void)bus, (void)context;
    assert_string_equal(instance_uuid, op.base.instance.uuid);
    if (answer.errnum != 0)
        *error = answer;
    else
        *ret_states = states;
    return -answer.errnum;
}

static int setup(void **state)
{
    static char host[] = "cmp1";
    (void)state;
    err = answer = (struct error)ERROR_INIT;
    conf = (struct conf){.DEFAULT = {.host = host}};
    agent = (struct agent){.conf = &conf};
    op = (struct operation){.base.agent = &agent};
    (void)strcpy(op.base.instance.uuid, "7c7d8a4b-0000-4000-8000-000000000001");
    states = (struct instance_states){.vm_state = "active", .host = "cmp1"};
    return recovery_new(1, NULL, &agent.recovery, &err);
}

static int teardown(void **state)
{
    (void)state;
    recovery_free(agent.recovery);
    return 0;
}

static bool has(void)
{
    bool has = false;
    recovery_bus_is_started(agent.recovery);
    assert_int_equal(owner_has_instance(&op, &has, &err), 0);
    return has;
}

static void one_that_is_here_is_to_be_here(void **state)
{
    (void)state;
    assert_true(has());
    (void)strcpy(states.task_state, "image_pending_upload");
    assert_true(has());
    (void)strcpy(states.vm_state, "stopped");
    assert_true(has());
    (void)strcpy(states.task_state, "soft-deleting"); /* which can be restored */
    assert_true(has());
}

static void one_that_goes_or_is_elsewhere_is_not(void **state)
{
    (void)state;
    (void)strcpy(states.task_state, "deleting");
    assert_false(has());
    states.task_state[0] = '\0';
    (void)strcpy(states.host, "cmp2"); /* evacuated */
    assert_false(has());
    states.host[0] = '\0'; /* shelved and offloaded */
    assert_false(has());
    (void)error_set(&answer, ENOENT, EXC_INSTANCE_NOT_FOUND, "deleted");
    assert_false(has());
}

static void without_an_answer_it_is_here(void **state)
{
    (void)state;
    (void)error_set(&answer, ETIMEDOUT, EXC_MESSAGING_TIMEOUT, "no answer");
    states.host[0] = '\0';
    assert_true(has());
}

static void before_the_bus_nobody_can_be_asked(void **state)
{
    bool has = true;
    (void)state;
    assert_int_equal(owner_has_instance(&op, &has, &err), -EAGAIN);
    assert_true(has);
}

static void before_the_bus_a_saved_guest_is_to_run(void **state)
{
    struct rpc_request request = {0};
    (void)state;
    op.base.request = &request;
    (void)strcpy(states.vm_state, "stopped");
    assert_true(owner_wants_guest_to_run(&op));
    recovery_bus_is_started(agent.recovery);
    assert_false(owner_wants_guest_to_run(&op));
    (void)error_set(&answer, ETIMEDOUT, EXC_MESSAGING_TIMEOUT, "no answer");
    assert_true(owner_wants_guest_to_run(&op));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_here_is_to_be_here),         TEST(one_that_goes_or_is_elsewhere_is_not),
        TEST(without_an_answer_it_is_here),           TEST(before_the_bus_nobody_can_be_asked),
        TEST(before_the_bus_a_saved_guest_is_to_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
