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

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, NULL)
    const struct CMUnitTest tests[] = {
        TEST(firmware_with_variables),
        TEST(devices_with_a_state_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
