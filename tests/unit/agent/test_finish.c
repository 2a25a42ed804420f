/* SPDX-License-Identifier: Apache-2.0 */
/* agent/finish.c: who may go on with the guest while the end of a snapshot waits for a service. */
#include "agent/finish.h"

#include "agent/temporary.h"
#include "world.h"

static struct instance_turn *own_turn;
static bool turn_was_kept, turn_was_passed;

/* The pause, after which what has failed goes well. */
bool __wrap_temporary_wait_next(struct temporary_wait *wait, struct instance_turn *turn);
bool __wrap_temporary_wait_next(struct temporary_wait *wait, struct instance_turn *turn)
{
    (void)wait;
    turn_was_kept |= !turn;
    turn_was_passed |= turn && turn == own_turn;
    script.errors[FAKE_RECOVER] = (struct error)ERROR_INIT;
    fake_driver_set_script(agent.driver, &script);
    return true;
}

static void snapshot_in_line(void)
{
    struct error err = ERROR_INIT;
    struct rpc_request *request = fixture_request();
    assert_int_equal(instance_queue_join(agent.instance_queue, FIXTURE_INSTANCE, &own_turn, &err),
                     0);
    fake_driver_set_script(agent.driver, &script);
    snapshot_serve(&(struct instance_request){.agent = &agent,
                                              .request = request,
                                              .record = state_dir_record(request),
                                              .turn = own_turn});
    assert_string_equal(world.task_state, "");
    assert_int_equal(world.image, DELETED);
}

static int begin(void **state)
{
    turn_was_kept = turn_was_passed = false;
    return setup(state);
}

static void nobody_gets_a_guest_that_is_not_back(void **state)
{
    (void)state;
    script.entries = json_pack("[{s:s}]", "step", "begin");
    script.errors[FAKE_EXTRACT] = failure(EIO, EXC_INTERNAL_ERROR);
    script.errors[FAKE_RECOVER] = failure(EIO, EXC_INTERNAL_ERROR);
    snapshot_in_line();
    assert_true(turn_was_kept);
    assert_false(turn_was_passed);
    json_decref((json_t *)(uintptr_t)script.entries);
}

static void an_image_that_stays_keeps_nobody_from_the_server(void **state)
{
    (void)state;
    world.fail_upload = failure(EIO, EXC_INTERNAL_ERROR);
    world.fail_delete = failure(EIO, EXC_GLANCE_CONNECTION_FAILED);
    world.n_fail_delete = 1;
    snapshot_in_line();
    assert_false(turn_was_kept);
    assert_true(turn_was_passed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_gets_a_guest_that_is_not_back, begin, teardown),
        cmocka_unit_test_setup_teardown(an_image_that_stays_keeps_nobody_from_the_server, begin,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
