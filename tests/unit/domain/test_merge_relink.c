/* SPDX-License-Identifier: Apache-2.0 */
/* domain/merge_relink.c: which names of layers are changed, and that all else stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "domain/merge_relink.h"

#define DISK(path, format, below)                                                                  \
    "<disk type='file' device='disk'><driver name='qemu' type='" format "' discard='unmap'/>"      \
    "<source file='" path "' index='2'/>" below "<target dev='vda'/></disk>"
#define BELOW(path)                                                                                \
    "<backingStore type='file'><format type='qcow2'/><source file='" path "'/><backingStore/>"     \
    "</backingStore>"
#define DOMAIN(disk) "<domain><devices>" disk "<serial/></devices></domain>"

static json_t *disks;

static int set_up(void **state)
{
    (void)state;
    disks = json_pack("[{s:s, s:[{s:s}], s:{s:s, s:s}}]", "target", "vda", "gone", "path",
                      "/none/gone", "base", "path", "/none/base", "format", "raw");
    return disks ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(disks);
    return 0;
}

static char *relinked(const char *xml, const char *root)
{
    struct error err = ERROR_INIT;
    char *changed = NULL;
    if (merge_relink_xml(xml, root, disks, &changed, &err) < 0)
        fail_msg("%s", err.message);
    return changed;
}

static void has(const char *xml, const char *text)
{
    if (!strstr(xml, text))
        fail_msg("no %s in %s", text, xml);
}

static void a_disk_that_goes_is_the_one_below(void **state)
{
    (void)state;
    char *xml = relinked(DOMAIN(DISK("/none/gone", "qcow2", BELOW("/none/base"))), "domain");
    assert_non_null(xml);
    has(xml, "<source file=\"/none/base\"/><target");
    has(xml, "<driver name=\"qemu\" type=\"raw\" discard=\"unmap\"/>");
    has(xml, "<serial/>");
    free(xml);
}

static void a_list_that_names_it_goes(void **state)
{
    (void)state;
    char *xml = relinked(DOMAIN(DISK("/none/top", "qcow2", BELOW("/none/gone"))), "domain");
    assert_non_null(xml);
    has(xml, "<source file=\"/none/top\" index=\"2\"/><target");
    has(xml, "type=\"qcow2\"");
    free(xml);
}

static void all_else_stays(void **state)
{
    (void)state;
    assert_null(relinked(DOMAIN(DISK("/none/top", "qcow2", BELOW("/none/base"))), "domain"));
    assert_null(relinked(DOMAIN("<disk type='network'><source protocol='rbd' name='gone'/></disk>"),
                         "domain"));
    assert_null(relinked("<domain/>", "domain"));
}

static void both_definitions_of_a_snapshot(void **state)
{
    (void)state;
    char *xml = relinked(
        "<domainsnapshot><name>b</name><disks><disk name='vda'><source "
        "file='/none/gone'/></disk></disks>" DOMAIN(DISK(
            "/none/gone", "qcow2", "")) "<inactiveDomain><devices>" DISK("/none/gone", "qcow2",
                                                                         "") "</devices></"
                                                                             "inactiveDomain></"
                                                                             "domainsnapshot>",
        "domainsnapshot");
    assert_non_null(xml);
    const char *first = strstr(xml, "<source file=\"/none/base\"");
    assert_non_null(first);
    has(first + 1, "<source file=\"/none/base\"");
    has(xml, "<disk name=\"vda\"><source file=\"/none/gone\"/>"); /* what it was made with */
    free(xml);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_disk_that_goes_is_the_one_below),
        TEST(a_list_that_names_it_goes),
        TEST(all_else_stays),
        TEST(both_definitions_of_a_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
