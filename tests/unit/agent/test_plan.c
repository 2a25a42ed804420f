/* SPDX-License-Identifier: Apache-2.0 */
/* agent/plan.c: nova's choice, and what each option and image property does to it. */
#include "agent/plan.h"
#include "fixture.h"

static char virt_type[] = "kvm", raw[] = "raw", blockrebase[] = "blockrebase";

static struct conf conf;
static struct instance instance;
static struct guest_info info;
static struct snapshot_plan plan;
static const char *reason;
static struct error err;

static int setup(void **state)
{
    (void)state;
    conf = (struct conf){.libvirt = {.virt_type = virt_type},
                         .snapshot_agent = {.live_snapshot_method = blockrebase}};
    info = (struct guest_info){.power_state = POWER_STATE_RUNNING,
                               .connection_is_qemu = true,
                               .source_type = DISK_SOURCE_FILE,
                               .disk_path = "/i/disk",
                               .disk_format = "qcow2"};
    plan = (struct snapshot_plan){.method = SNAPSHOT_METHOD_BLOCKREBASE};
    err = (struct error)ERROR_INIT;
    fixture_instance(&instance);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    instance_done(&instance);
    return 0;
}

static void property(const char *name, const char *value)
{
    json_object_set_new(json_object_get(instance.data, "system_metadata"), name,
                        json_string(value));
}

static int make(void)
{
    const struct plan_input input = {
        .conf = &conf, .wanted = plan_wanted_method(&conf), .instance = &instance, .info = &info};
    struct plan_quiesce quiesce;
    return plan_snapshot(&input, &plan, &quiesce, &reason, &err);
}

static void running_is_live(void **state)
{
    (void)state;
    assert_int_equal(make(), 0);
    assert_int_equal(plan.method, SNAPSHOT_METHOD_BLOCKREBASE);
    assert_string_equal(plan.image_format, "qcow2");
    assert_false(plan.quiesce);
    assert_false(plan.compress);
}

static void every_state_but_shutdown_is_live(void **state)
{
    (void)state;
    static const enum power_state states[] = {POWER_STATE_PAUSED, POWER_STATE_CRASHED,
                                              POWER_STATE_NOSTATE, POWER_STATE_SUSPENDED};
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        info.power_state = states[i];
        assert_int_equal(make(), 0);
        assert_int_equal(plan.method, SNAPSHOT_METHOD_BLOCKREBASE);
    }
    info.power_state = POWER_STATE_SHUTDOWN;
    assert_int_equal(make(), 0);
    assert_int_equal(plan.method, SNAPSHOT_METHOD_COLD);
}

static void each_reason_makes_it_cold(void **state)
{
    bool *switches[] = {&conf.workarounds.disable_libvirt_livesnapshot,
                        &conf.ephemeral_storage_encryption.enabled};
    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        *switches[i] = true;
        assert_int_equal(make(), 0);
        assert_int_equal(plan.method, SNAPSHOT_METHOD_COLD);
        *switches[i] = false;
    }
    info.connection_is_qemu = false;
    assert_int_equal(make(), 0);
    assert_int_equal(plan.method, SNAPSHOT_METHOD_COLD);
    (void)teardown(state);
    (void)setup(state);
    info.source_type = DISK_SOURCE_LVM;
    (void)strcpy(info.disk_format, "raw");
    assert_int_equal(make(), 0);
    assert_int_equal(plan.method, SNAPSHOT_METHOD_COLD);
    assert_string_equal(plan.image_format, "raw");
}

static void rbd_is_cold_and_raw(void **state)
{
    static char qcow2[] = "qcow2";
    (void)state;
    info.source_type = DISK_SOURCE_RBD;
    (void)strcpy(info.disk_path, "rbd:vms/u_disk");
    (void)strcpy(info.disk_format, "raw");
    property("image_hw_qemu_guest_agent", "yes");
    property("image_os_require_quiesce", "yes");
    assert_int_equal(make(), 0);
    assert_int_equal(plan.method, SNAPSHOT_METHOD_COLD);
    assert_string_equal(plan.image_format, "raw");
    assert_true(plan.quiesce); /* of a snapshot within the cluster */
    assert_true(plan.require_quiesce);
    conf.libvirt.snapshot_image_format = qcow2;
    assert_int_equal(make(), 0);
    assert_string_equal(plan.image_format, "qcow2");
}

static void rbd_of_a_stopped_guest_needs_no_quiesce(void **state)
{
    (void)state;
    info.source_type = DISK_SOURCE_RBD;
    info.power_state = POWER_STATE_SHUTDOWN;
    property("image_os_require_quiesce", "yes");
    assert_int_equal(make(), 0);
    assert_false(plan.quiesce);
}

static void the_configured_format_wins(void **state)
{
    (void)state;
    conf.libvirt.snapshot_image_format = raw;
    conf.libvirt.snapshot_compression = true;
    assert_int_equal(make(), 0);
    assert_string_equal(plan.image_format, "raw");
    assert_true(plan.compress);
}

static void quiesces_when_the_image_says_so(void **state)
{
    (void)state;
    property("image_hw_qemu_guest_agent", "yes");
    assert_int_equal(make(), 0);
    assert_true(plan.quiesce);
    assert_false(plan.require_quiesce);
    property("image_os_require_quiesce", "True");
    assert_int_equal(make(), 0);
    assert_true(plan.require_quiesce);
}

static void a_paused_guest_is_not_quiesced(void **state)
{
    (void)state;
    property("image_hw_qemu_guest_agent", "yes");
    property("image_os_require_quiesce", "yes");
    info.power_state = POWER_STATE_PAUSED;
    assert_int_equal(make(), 0);
    assert_false(plan.quiesce);
}

static void required_but_impossible_quiesce_fails_early(void **state)
{
    (void)state;
    static char lxc[] = "lxc";
    property("image_os_require_quiesce", "yes");
    assert_true(make() < 0);
    assert_string_equal(err.exc, EXC_QEMU_GUEST_AGENT_NOT_ENABLED);
    property("image_hw_qemu_guest_agent", "yes");
    conf.libvirt.virt_type = lxc;
    assert_true(make() < 0);
    assert_string_equal(err.exc, EXC_INSTANCE_QUIESCE_NOT_SUPPORTED);
}

static enum snapshot_method method_for(const char *wanted)
{
    static char name[16];
    (void)snprintf(name, sizeof(name), "%s", wanted);
    conf.snapshot_agent.live_snapshot_method = name;
    assert_int_equal(make(), 0);
    return plan.method;
}

static void the_operator_chooses_how_a_live_one_is_taken(void **state)
{
    (void)state;
    assert_int_equal(method_for("stream"), SNAPSHOT_METHOD_STREAM);
    assert_null(reason);
    assert_int_equal(method_for("blockcopy"), SNAPSHOT_METHOD_BLOCKCOPY);
    assert_int_equal(method_for("blockrebase"), SNAPSHOT_METHOD_BLOCKREBASE);
    assert_null(reason);
    info.power_state = POWER_STATE_SHUTDOWN;
    assert_int_equal(method_for("stream"), SNAPSHOT_METHOD_STREAM);
    assert_int_equal(method_for("blockcopy"), SNAPSHOT_METHOD_COLD);
    assert_string_equal(reason, "the guest is not running");
}

static void what_cannot_be_streamed_is_copied(void **state)
{
    static char vmdk[] = "vmdk", raw_format[] = "raw";
    (void)state;
    /* From a backup job anything can be converted, from a stopped guest's disk anyway. */
    conf.libvirt.snapshot_compression = true;
    assert_int_equal(method_for("stream"), SNAPSHOT_METHOD_STREAM);
    info.power_state = POWER_STATE_SHUTDOWN;
    assert_int_equal(method_for("stream"), SNAPSHOT_METHOD_COLD);
    assert_string_equal(reason, "the size of a compressed image is not known in advance");
    conf.libvirt.snapshot_image_format = raw_format; /* which is not compressed */
    assert_int_equal(method_for("stream"), SNAPSHOT_METHOD_STREAM);
    conf.libvirt.snapshot_image_format = vmdk;
    assert_int_equal(method_for("stream"), SNAPSHOT_METHOD_COLD);
    assert_string_equal(reason, "the size of an image of this format is not known in advance");
    info.power_state = POWER_STATE_RUNNING;
    assert_int_equal(method_for("stream"), SNAPSHOT_METHOD_STREAM);
    conf.libvirt.snapshot_image_format = NULL;
    info.source_type = DISK_SOURCE_LVM;
    assert_int_equal(method_for("stream"), SNAPSHOT_METHOD_COLD);
    assert_string_equal(reason, "the root disk is a block device");
    info.power_state = POWER_STATE_SHUTDOWN;
    conf.libvirt.snapshot_compression = false;
    assert_int_equal(method_for("stream"), SNAPSHOT_METHOD_STREAM);
}

static void each_method_has_others_behind_it(void **state)
{
    static const struct {
        const char *wanted;
        enum snapshot_method methods[4]; /* cold is the last */
    } cases[] = {
        {"stream",
         {SNAPSHOT_METHOD_STREAM, SNAPSHOT_METHOD_BLOCKCOPY, SNAPSHOT_METHOD_BLOCKREBASE,
          SNAPSHOT_METHOD_COLD}},
        {"blockcopy",
         {SNAPSHOT_METHOD_BLOCKCOPY, SNAPSHOT_METHOD_BLOCKREBASE, SNAPSHOT_METHOD_COLD}},
        {"blockrebase",
         {SNAPSHOT_METHOD_BLOCKREBASE, SNAPSHOT_METHOD_BLOCKCOPY, SNAPSHOT_METHOD_COLD}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const enum snapshot_method *methods = cases[i].methods;
        assert_int_equal(method_for(cases[i].wanted), *methods);
        while (*methods != SNAPSHOT_METHOD_COLD) {
            assert_true(plan_next_method(&conf, plan_wanted_method(&conf), &info, &plan));
            assert_int_equal(plan.method, *++methods);
        }
        assert_false(plan_next_method(&conf, plan_wanted_method(&conf), &info, &plan));
    }
    info.power_state = POWER_STATE_SHUTDOWN;
    assert_int_equal(method_for("stream"), SNAPSHOT_METHOD_STREAM);
    assert_true(plan_next_method(&conf, plan_wanted_method(&conf), &info, &plan));
    assert_int_equal(plan.method, SNAPSHOT_METHOD_COLD);
}

static void a_streamed_guest_is_frozen_as_a_copied_one(void **state)
{
    (void)state;
    property("image_hw_qemu_guest_agent", "yes");
    property("image_os_require_quiesce", "yes");
    assert_int_equal(method_for("stream"), SNAPSHOT_METHOD_STREAM);
    assert_true(plan.quiesce && plan.require_quiesce);
    info.power_state = POWER_STATE_SHUTDOWN;
    assert_int_equal(method_for("stream"), SNAPSHOT_METHOD_STREAM);
    assert_false(plan.quiesce);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(running_is_live),
        TEST(every_state_but_shutdown_is_live),
        TEST(each_reason_makes_it_cold),
        TEST(rbd_is_cold_and_raw),
        TEST(rbd_of_a_stopped_guest_needs_no_quiesce),
        TEST(the_configured_format_wins),
        TEST(quiesces_when_the_image_says_so),
        TEST(a_paused_guest_is_not_quiesced),
        TEST(required_but_impossible_quiesce_fails_early),
        cmocka_unit_test_setup_teardown(the_operator_chooses_how_a_live_one_is_taken, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_streamed_is_copied, setup, teardown),
        cmocka_unit_test_setup_teardown(each_method_has_others_behind_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_streamed_guest_is_frozen_as_a_copied_one, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
