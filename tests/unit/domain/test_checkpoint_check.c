/* SPDX-License-Identifier: Apache-2.0 */
/* domain/checkpoint_check.c: what a definition has against a checkpoint. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "domain/checkpoint_check.h"

static struct error err;

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    return 0;
}

#define DOMAIN(os, devices) "<domain><os>" os "</os><devices>" devices "</devices></domain>"
#define PCI                                                                                        \
    "<hostdev mode='subsystem' type='pci'><source><address domain='0x0000' bus='0x04' "            \
    "slot='0x00' function='0x1'/></source></hostdev>"

static void refused(const char *xml, bool is_internal, bool has_memory, const char *text)
{
    err = (struct error)ERROR_INIT;
    assert_int_equal(checkpoint_check_devices(xml, is_internal, has_memory, &err), -EINVAL);
    if (!strstr(err.message, text))
        fail_msg("%s", err.message);
}

static void taken(const char *xml, bool is_internal, bool has_memory)
{
    if (checkpoint_check_devices(xml, is_internal, has_memory, &err) < 0)
        fail_msg("%s", err.message);
}

static void firmware_with_variables(void **state)
{
    (void)state;
    static const char *const domains[] = {
        DOMAIN("<loader type='pflash'>/c</loader>", ""),
        DOMAIN("<nvram>/v</nvram>", ""),
        "<domain><os firmware='efi'/><devices/></domain>",
    };
    for (size_t i = 0; i < 3; i++) {
        refused(domains[i], true, false, "UEFI");
        taken(domains[i], false, true);
    }
    taken(DOMAIN("", ""), true, true);
}

static void devices_with_a_state_of_their_own(void **state)
{
    (void)state;
    refused(DOMAIN("", "<tpm><backend type='emulator'/></tpm>"), false, true, "TPM");
    taken(DOMAIN("", "<tpm><backend type='emulator'/></tpm>"), false, false);
    refused(DOMAIN("", PCI), true, true, "0000:04:00.1");
    taken(DOMAIN("", PCI), false, false);
}

#define NEXT(target, file)                                                                         \
    "<domain><name>web</name><uuid>2a5f8a9c-6f5c-4bb4-a7fb-0c4f6bb1d7e1</uuid><devices>"           \
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='" file "'/>"  \
    "<target dev='" target "' bus='virtio'/></disk></devices></domain>"

static void only_what_the_next_start_has_too(void **state)
{
    (void)state;
    struct checkpoint_disk disk = {.target = "vda", .base = "/d/a"};
    const struct checkpoint_plan plan = {.disks = &disk, .disk_count = 1};
    assert_int_equal(checkpoint_check_next_start(NEXT("vda", "/d/a"), &plan, &err), 0);
    static const char *const others[] = {NEXT("vdb", "/d/a"), NEXT("vda", "/d/b")};
    for (size_t i = 0; i < 2; i++) {
        err = (struct error)ERROR_INIT;
        assert_int_equal(checkpoint_check_next_start(others[i], &plan, &err), -EINVAL);
        assert_non_null(strstr(err.message, "disk vda: the running guest alone has it at /d/a"));
    }
}

static void what_nobody_can_come_back_to(void **state)
{
    (void)state;
    struct checkpoint_remark told[] = {
        {.what = "vda", .why = "it is read-only"},
        {.what = "vdb", .why = "it is no file; there is no way back", .is_dead_end = true}};
    struct checkpoint_plan plan = {.cautions = {told, 1}, .omissions = {told, 1}};
    assert_int_equal(checkpoint_check_ends(&plan, &err), 0);
    plan.cautions.count = 2;
    assert_int_equal(checkpoint_check_ends(&plan, &err), -EINVAL);
    assert_non_null(strstr(err.message, "vdb: it is no file; there is no way back; --force"));
    plan.cautions.count = 1;
    plan.omissions.count = 2;
    err = (struct error)ERROR_INIT;
    assert_int_equal(checkpoint_check_ends(&plan, &err), -EINVAL);
    assert_non_null(strstr(err.message, "vdb would not be in it: it is no file; "));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, NULL)
    const struct CMUnitTest tests[] = {
        TEST(firmware_with_variables),
        TEST(only_what_the_next_start_has_too),
        TEST(what_nobody_can_come_back_to),
        TEST(devices_with_a_state_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
