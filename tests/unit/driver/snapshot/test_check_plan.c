/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver/snapshot/check_plan.c, driver/libvirt_look.c: what would become of a snapshot is told
 * without one call that changes anything, and what becomes of it is that.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/driver/scripted_backup.h"
#include "tests/unit/driver/snapshot/fixture.h"

#define MIB (UINT64_C(1) << 20)

static uint64_t bytes;

static int set_up(void **state)
{
    (void)state;
    world_reset();
    memset(&backup_script, 0, sizeof(backup_script));
    plan = (struct snapshot_plan){
        .method = SNAPSHOT_METHOD_BLOCKREBASE, .image_format = "qcow2", .quiesce = true};
    fill_info();
    info.domain_id = world.id;
    world.layer_bytes = 80 * MIB;
    world.image_bytes = 300 * MIB;
    return 0;
}

/* Of all calls that are made. */
static void assert_nothing_changed(void)
{
    static const char *const changing[] = {
        "Define",       "Undefine", "BlockRebase", "BlockCopy",       "BlockJobAbort", "FSFreeze",
        "FSThaw",       "Set",      "AgentSet",    "ManagedSave",     "Create",        "qemu-img c",
        "DetachDevice", "Attach",   "BackupBegin", "BlockJobSetSpeed"};
    for (int i = 0; i < world.call_count; i++)
        for (size_t c = 0; c < sizeof(changing) / sizeof(changing[0]); c++)
            if (strncmp(world.calls[i], changing[c], strlen(changing[c])) == 0)
                fail_msg("%s was called", world.calls[i]);
    assert_int_equal(files_left(), 0);
}

static int check(enum snapshot_method method)
{
    plan.method = method;
    bytes = 0;
    err = (struct error)ERROR_INIT;
    int r = libvirt_check_plan(&driver, &info, &plan, &bytes, &err);
    assert_nothing_changed();
    assert_int_equal(r, -err.errnum);
    return r;
}

static void what_is_written_is_told(void **state)
{
    (void)state;
    assert_int_equal(check(SNAPSHOT_METHOD_BLOCKREBASE), 0);
    assert_int_equal(bytes, 80 * MIB + 10 * MIB + 64 * MIB);
    assert_int_equal(check(SNAPSHOT_METHOD_BLOCKCOPY), 0);
    assert_int_equal(bytes, 80 * MIB + 10 * MIB + 64 * MIB);
    assert_int_equal(check(SNAPSHOT_METHOD_STREAM), 0);
    assert_int_equal(bytes, 10 * MIB + 64 * MIB);
    assert_int_equal(check(SNAPSHOT_METHOD_COLD), 0);
    assert_int_equal(bytes, 300 * MIB);
    plan.compress = true; /* it has to be a file first */
    assert_int_equal(check(SNAPSHOT_METHOD_STREAM), 0);
    assert_int_equal(bytes, 10 * MIB + 64 * MIB + 300 * MIB);
}

static void what_a_method_lacks_is_told(void **state)
{
    (void)state;
    (void)snprintf(world.definition, sizeof(world.definition), "%s",
                   "<domain><devices><tpm><backend type='emulator'/></tpm></devices></domain>");
    assert_int_equal(check(SNAPSHOT_METHOD_BLOCKREBASE), -EOPNOTSUPP);
    assert_non_null(strstr(err.message, "its TPM"));
    assert_int_equal(check(SNAPSHOT_METHOD_BLOCKCOPY), 0);

    set_up(state);
    backup_script.job_of_others = true;
    assert_int_equal(check(SNAPSHOT_METHOD_STREAM), -EOPNOTSUPP);
    assert_non_null(strstr(err.message, "another job"));

    set_up(state);
    world.foreign_job = true;
    assert_int_equal(check(SNAPSHOT_METHOD_BLOCKCOPY), -EBUSY);

    set_up(state);
    world.layer_bytes = UINT64_C(1) << 60;
    assert_int_equal(check(SNAPSHOT_METHOD_BLOCKREBASE), -ENOSPC);

    set_up(state);
    world.exists = false;
    assert_int_equal(check(SNAPSHOT_METHOD_STREAM), -ENOENT);
    assert_int_equal(check(SNAPSHOT_METHOD_COLD), -ENOENT);
}

static void a_stopped_guest_is_streamed_without_a_byte(void **state)
{
    (void)state;
    world.active = false;
    world.state = VIR_DOMAIN_SHUTOFF;
    info.power_state = POWER_STATE_SHUTDOWN;
    info.domain_id = -1;
    assert_int_equal(check(SNAPSHOT_METHOD_STREAM), 0);
    assert_int_equal(bytes, 0);
    assert_int_equal(check(SNAPSHOT_METHOD_COLD), 0);
    assert_int_equal(bytes, 300 * MIB);
}

static const char *xml;

static char *make_xml(void)
{
    return strdup(xml);
}

#define CHANNEL(name, state)                                                                       \
    "<channel type='unix'><target type='virtio' name='" name "'" state "/></channel>"

static void the_agent_is_seen_by_its_channel(void **state)
{
    static const struct {
        const char *xml;
        enum guest_agent agent;
    } cases[] = {
        {"<domain><devices/></domain>", GUEST_AGENT_NO_CHANNEL},
        {"<domain><devices>" CHANNEL("com.redhat.spice.0",
                                     " state='connected'") "</devices></domain>",
         GUEST_AGENT_NO_CHANNEL},
        {"<domain><devices>" CHANNEL("com.redhat.spice.0", " state='connected'")
             CHANNEL("org.qemu.guest_agent.0", " state='connected'") "</devices></domain>",
         GUEST_AGENT_CONNECTED},
        {"<domain><devices>" CHANNEL("org.qemu.guest_agent.0",
                                     " state='disconnected'") "</devices></domain>",
         GUEST_AGENT_AWAY},
        {"<domain><devices>" CHANNEL("org.qemu.guest_agent.0", "") "</devices></domain>",
         GUEST_AGENT_AWAY},
    };
    enum guest_agent agent;
    (void)state;
    world.make_xml = make_xml;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        xml = cases[i].xml;
        assert_int_equal(libvirt_guest_agent(&driver, UUID, &agent, &err), 0);
        assert_int_equal(agent, cases[i].agent);
    }
    assert_nothing_changed();
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, set_up)
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_told),
        TEST(what_a_method_lacks_is_told),
        TEST(a_stopped_guest_is_streamed_without_a_byte),
        TEST(the_agent_is_seen_by_its_channel),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_finish);
}
