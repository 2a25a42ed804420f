/* SPDX-License-Identifier: Apache-2.0 */
/* agent/clean/run.c: a run at a time, from its begin to what it has found. */
#include "agent/clean/run.h"

#include <poll.h>
#include <stdatomic.h>

#include "common/json.h"
#include "world.h"

static struct clean *clean;
static atomic_bool held; /* the run does not go on */

static void hold_call(enum fake_call call, const char *uuid, void *userdata)
{
    (void)call, (void)uuid, (void)userdata;
    while (atomic_load(&held))
        (void)poll(NULL, 0, 1);
}

static int set_up(void **state)
{
    struct error err = ERROR_INIT;
    assert_int_equal(clean_world_set_up(state), 0);
    clean_world.script.on_call = hold_call;
    fake_driver_set_script(clean_world.agent.driver, &clean_world.script);
    atomic_store(&held, false);
    return clean_new(&clean_world.agent, &clean, &err);
}

static int tear_down(void **state)
{
    atomic_store(&held, false);
    clean_free(clean);
    return clean_world_tear_down(state);
}

/* What the run has come to. Owned. */
static json_t *await_end(void)
{
    for (unsigned ms = 0; ms < 20000; ms++) {
        json_t *view = clean_view(clean);
        if (json_is_false(json_object_get(view, "running")))
            return view;
        json_decref(view);
        (void)poll(NULL, 0, 1);
    }
    fail_msg("it does not end");
    return NULL;
}

static void add_image(void)
{
    char mark[HOST_KEY_MARK_SIZE];
    assert_true(host_key_mark(&clean_world.agent.key, FIXTURE_IMAGE, mark));
    (void)json_array_append_new(clean_world.instances,
                                json_pack("{s:s, s:n}", "uuid", FIXTURE_INSTANCE, "task_state"));
    (void)json_array_append_new(
        clean_world.images, json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", FIXTURE_IMAGE, "status",
                                      "queued", "image_type", "snapshot", "instance_uuid",
                                      FIXTURE_INSTANCE, "snapshot_mark", mark));
}

static const char *verdict_in(const json_t *view)
{
    return json_string_member(json_array_get(json_object_get(view, "found"), 0), "verdict");
}

static void nothing_is_removed_unless_it_is_to_be(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    unsigned run = 0;
    add_image();
    assert_int_equal(clean_start(clean, false, &run, &err), 0);
    assert_int_equal(run, 1);
    json_t *view = await_end();
    assert_string_equal(verdict_in(view), "nobodys");
    assert_string_equal(clean_world.story, "");
    json_decref(view);
    assert_int_equal(clean_start(clean, true, &run, &err), 0);
    assert_int_equal(run, 2);
    view = await_end();
    assert_string_equal(verdict_in(view), "done");
    assert_int_equal(json_integer_value(json_object_get(view, "run")), 2);
    assert_true(json_is_true(json_object_get(view, "apply")));
    assert_int_equal(json_array_size(json_object_get(view, "troubles")), 0);
    assert_string_equal(clean_world.story, "delete:" FIXTURE_IMAGE " ");
    json_decref(view);
}

static void one_run_at_a_time(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    unsigned run = 0;
    atomic_store(&held, true);
    assert_int_equal(clean_start(clean, false, &run, &err), 0);
    json_t *view = clean_view(clean);
    assert_true(json_is_true(json_object_get(view, "running")));
    assert_null(json_object_get(view, "found"));
    json_decref(view);
    assert_int_equal(clean_start(clean, true, &run, &err), -EBUSY);
    assert_int_equal(run, 1);
    atomic_store(&held, false);
    json_decref(await_end());
    assert_int_equal(clean_start(clean, true, &run, &err), 0);
    assert_int_equal(run, 2);
}

static void before_the_first_there_is_nothing(void **state)
{
    (void)state;
    json_t *view = clean_view(clean);
    assert_int_equal(json_integer_value(json_object_get(view, "run")), 0);
    assert_true(json_is_false(json_object_get(view, "running")));
    json_decref(view);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_removed_unless_it_is_to_be),
        TEST(one_run_at_a_time),
        TEST(before_the_first_there_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
