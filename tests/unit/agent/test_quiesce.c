/* SPDX-License-Identifier: Apache-2.0 */
/* agent/quiesce.c: what the caller is told, and that the thaw never waits for ever. */
#include "agent/quiesce.h"
#include "world.h"

static struct rpc_request *request_of(const char *method, bool with_agent)
{
    struct rpc_request *request = fixture_request();
    json_t *data = json_object_get(json_object_get(request->args, "instance"), "nova_object.data");
    free(request->method);
    request->method = strdup(method);
    (void)json_object_del(request->args, "image_id");
    (void)json_object_set_new(data, "system_metadata",
                              with_agent ? json_pack("{s:s}", "image_hw_qemu_guest_agent", "true")
                                         : json_object());
    fake_driver_set_script(agent.driver, &script);
    return request;
}

static void unquiesce(json_t *mapping)
{
    struct rpc_request *request = request_of("unquiesce_instance", true);
    (void)json_object_set_new(request->args, "mapping", mapping);
    quiesce_thaw_serve(HANDED_OVER(request, NULL));
}

static void freezes_and_thaws(void **state)
{
    (void)state;
    quiesce_freeze_serve(HANDED_OVER(request_of("quiesce_instance", true), NULL));
    assert_string_equal(world.story, "reply ");
    assert_true(freezer_holds(agent.freezer, FIXTURE_INSTANCE));
    unquiesce(json_pack("[{s:s, s:s}, {s:s}]", "source_type", "snapshot", "snapshot_id",
                        "16fab726-8b6d-46a2-90b4-af0d3a5a44f7", "source_type", "blank"));
    assert_false(freezer_holds(agent.freezer, FIXTURE_INSTANCE));
    assert_string_equal(world.story, "reply ");
}

static void failures_have_classes_every_api_knows(void **state)
{
    (void)state;
    quiesce_freeze_serve(HANDED_OVER(request_of("quiesce_instance", false), NULL));
    assert_string_equal(world.story,
                        "fail:QemuGuestAgentNotEnabled quiesce_instance compute.exception ");
    world.story[0] = '\0';
    script.errors[FAKE_FREEZE] = failure(EIO, EXC_LIBVIRT_ERROR);
    quiesce_freeze_serve(HANDED_OVER(request_of("quiesce_instance", true), NULL));
    assert_string_equal(world.story, "fail:InternalError quiesce_instance compute.exception ");
    assert_false(freezer_holds(agent.freezer, FIXTURE_INSTANCE));
}

/* From a nova-api of 2023.2 or later; Zed's sends 2.7. */
static struct rpc_request *later_request_of(const char *method)
{
    struct rpc_request *request = request_of(method, true);
    (void)json_object_set_new(json_object_get(request->args, "instance"), "nova_object.version",
                              json_string("2.8"));
    return request;
}

static void freeze_fails(bool later, const char *exc, const char *expected)
{
    script.errors[FAKE_FREEZE] = failure(EIO, exc);
    world.story[0] = '\0';
    quiesce_freeze_serve(HANDED_OVER(
        later ? later_request_of("quiesce_instance") : request_of("quiesce_instance", true), NULL));
    assert_string_equal(world.story, expected);
}

/* Of all errors of libvirt's only this one is a conflict to nova-api. */
static void an_agent_that_does_not_respond_is_a_conflict(void **state)
{
    (void)state;
    freeze_fails(true, EXC_INSTANCE_QUIESCE_FAILED,
                 "fail:InstanceQuiesceFailed quiesce_instance compute.exception ");
    freeze_fails(true, EXC_LIBVIRT_ERROR, "fail:InternalError quiesce_instance compute.exception ");
    freeze_fails(true, EXC_INTERNAL_ERROR,
                 "fail:InternalError quiesce_instance compute.exception ");
    freeze_fails(false, EXC_INSTANCE_QUIESCE_FAILED,
                 "fail:InternalError quiesce_instance compute.exception ");
}

static void thaw_fails(bool later, const char *exc, const char *expected)
{
    script.errors[FAKE_THAW] = failure(EIO, exc);
    quiesce_thaw_serve(HANDED_OVER(later ? later_request_of("unquiesce_instance")
                                         : request_of("unquiesce_instance", true),
                                   NULL));
    assert_string_equal(world.exception, expected);
}

/* Nobody waits for an answer; the notification names the class. */
static void a_thaw_fails_with_the_same_classes(void **state)
{
    (void)state;
    thaw_fails(true, EXC_LIBVIRT_ERROR, EXC_INTERNAL_ERROR);
    thaw_fails(true, EXC_INSTANCE_QUIESCE_FAILED, EXC_INSTANCE_QUIESCE_FAILED);
    thaw_fails(false, EXC_INSTANCE_QUIESCE_FAILED, EXC_INTERNAL_ERROR);
}

static void thaws_without_a_mapping(void **state)
{
    (void)state;
    quiesce_freeze_serve(HANDED_OVER(request_of("quiesce_instance", true), NULL));
    unquiesce(json_null());
    assert_false(freezer_holds(agent.freezer, FIXTURE_INSTANCE));
}

static void thaws_whatever_the_mapping_holds(void **state)
{
    (void)state;
    quiesce_freeze_serve(HANDED_OVER(request_of("quiesce_instance", true), NULL));
    world.snapshot_status = "error";
    unquiesce(json_pack("[i, n, {s:s}, {s:s, s:i}, {s:s, s:s}]", 7, "source_type", "snapshot",
                        "source_type", "snapshot", "snapshot_id", 3, "source_type", "snapshot",
                        "snapshot_id", "x"));
    assert_false(freezer_holds(agent.freezer, FIXTURE_INSTANCE));
}

static void thaws_a_guest_it_did_not_freeze(void **state)
{
    (void)state;
    struct fake_record record;
    unquiesce(json_null());
    fake_driver_get_record(agent.driver, &record);
    assert_int_equal(record.calls[FAKE_THAW], 1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(freezes_and_thaws),
        TEST(failures_have_classes_every_api_knows),
        TEST(an_agent_that_does_not_respond_is_a_conflict),
        TEST(a_thaw_fails_with_the_same_classes),
        TEST(thaws_without_a_mapping),
        TEST(thaws_whatever_the_mapping_holds),
        TEST(thaws_a_guest_it_did_not_freeze),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
