/* SPDX-License-Identifier: Apache-2.0 */
/* driver/definition/definition_merge.c: what is done to a guest without a definition comes into it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "driver/definition/definition_merge.h"

#define DOMAIN(devices)                                                                            \
    "<domain><metadata><nova/></metadata><memory>1</memory><devices>" devices "</devices></"       \
    "domain>"
#define DISK(target, source) "<disk type='file'>" DISK_REST(target, source)
#define DISK_REST(target, source)                                                                  \
    "<driver name='qemu' type='qcow2'/>" source "<target dev='" target "'/></disk>"
#define FILE_OF(path) "<source file='" path "'/>"
#define LIVE_FILE(path) "<source file='" path "' index='7'/>"
#define ROOT DISK("vda", FILE_OF("/root"))
#define LIVE_ROOT DISK("vda", LIVE_FILE("/root") "<backingStore/>")
#define PORT(mac, rest) "<interface type='bridge'><mac address='" mac "'/>" rest "</interface>"
#define BRIDGE(name) "<source bridge='" name "'/>"
#define PCI(slot) "<address type='pci' domain='0' bus='0' slot='" slot "' function='0'/>"

static char *merged;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    merged = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(merged);
    return 0;
}

static void merge(const char *saved, const char *before, const char *now)
{
    free(merged);
    merged = NULL;
    assert_int_equal(definition_merge(saved, before, now, &merged, &err), 0);
}

/* As the same XML written by libxml2. */
static void assert_merged(const char *expected)
{
    char text[4096];
    size_t used = 0;
    assert_non_null(merged);
    for (const char *c = expected; *c; c++)
        text[used++] = *c == '\'' ? '"' : *c;
    text[used] = '\0';
    assert_string_equal(merged, text);
}

static void nothing_happened(void **state)
{
    (void)state;
    merge(DOMAIN(ROOT), DOMAIN(LIVE_ROOT), DOMAIN(LIVE_ROOT));
    assert_null(merged);
    /* What a run makes of a guest, its tuning, and our own copy. */
    merge(DOMAIN(ROOT), DOMAIN(LIVE_ROOT),
          "<domain><memory>2</memory><devices>" DISK(
              "vda", LIVE_FILE("/root") "<backingStore/><mirror><source file='/delta'/></mirror>"
                                        "<iotune/>") "<channel><target state='connected'/>"
                                                     "</channel></devices></domain>");
    assert_null(merged);
    /* What waits for the next start waits on. */
    merge(DOMAIN(ROOT DISK("vdb", FILE_OF("/pending"))),
          DOMAIN(LIVE_ROOT DISK("vdc", LIVE_FILE("/live"))),
          DOMAIN(LIVE_ROOT DISK("vdc", LIVE_FILE("/live"))));
    assert_null(merged);
}

static void external_snapshot_is_brought_over(void **state)
{
    (void)state;
    merge(DOMAIN(ROOT DISK("vdb", FILE_OF("/v") "<serial>s</serial>")),
          DOMAIN(LIVE_ROOT DISK("vdb", LIVE_FILE("/v") "<backingStore/>")),
          DOMAIN(LIVE_ROOT DISK("vdb",
                                LIVE_FILE("/v.snap") "<backingStore type='file' index='7'>"
                                                     "<format type='qcow2'/>" FILE_OF(
                                                         "/v") "<backingStore/></backingStore>")));
    assert_merged(DOMAIN(ROOT "<disk type='file'><driver name='qemu' type='qcow2'/>" FILE_OF(
        "/v.snap") "<serial>s</serial><target dev='vdb'/><backingStore type='file'>"
                   "<format type='qcow2'/>" FILE_OF("/v") "</backingStore></disk>"));
}

static void chain_is_brought_over_where_it_is_named(void **state)
{
    static const char before[] = DOMAIN(DISK(
        "vda", LIVE_FILE("/c") "<backingStore type='file' index='2'>" FILE_OF(
                   "/b") "<backingStore type='file' index='3'>" FILE_OF("/a") "<backingStore/></"
                                                                              "backingStore></"
                                                                              "backingStore>"));
    static const char now[] =
        DOMAIN(DISK("vda", LIVE_FILE("/c") "<backingStore type='file' index='3'>" FILE_OF(
                               "/a") "<backingStore/></backingStore>"));
    (void)state;
    merge(DOMAIN(DISK("vda", FILE_OF("/c"))), before, now); /* libvirt looks for it at each start */
    assert_null(merged);
    merge(DOMAIN(DISK("vda",
                      FILE_OF("/c") "<backingStore type='file'>" FILE_OF("/b") "</backingStore>")),
          before, now);
    assert_merged(DOMAIN(
        DISK("vda", FILE_OF("/c") "<backingStore type='file'>" FILE_OF("/a") "</backingStore>")));
}

static void disk_that_moved_to_another_kind_of_storage(void **state)
{
    (void)state;
    merge(DOMAIN(ROOT DISK("vdb", FILE_OF("/v"))), DOMAIN(LIVE_ROOT DISK("vdb", LIVE_FILE("/v"))),
          DOMAIN(LIVE_ROOT "<disk type='block'><driver name='qemu' type='raw'/>"
                           "<source dev='/dev/v' index='9'/><target dev='vdb'/></disk>"));
    assert_merged(DOMAIN(ROOT "<disk type='block'><driver name='qemu' type='raw'/>"
                              "<source dev='/dev/v'/><target dev='vdb'/></disk>"));
}

static void medium_is_ejected(void **state)
{
    (void)state;
    merge(DOMAIN(DISK("sda", FILE_OF("/iso"))), DOMAIN(DISK("sda", LIVE_FILE("/iso"))),
          DOMAIN(DISK("sda", "")));
    assert_merged(DOMAIN(DISK("sda", "")));
}

static void devices_come_and_go(void **state)
{
    (void)state;
    static const char added[] = DOMAIN(ROOT DISK("vdb", FILE_OF("/v")) PORT(
        "52:54:00:00:00:02",
        BRIDGE("b") "<alias name='net1'/>") "<hostdev type='pci'>" PCI("9") "</hostdev>");
    merge(DOMAIN(ROOT), DOMAIN(LIVE_ROOT),
          DOMAIN(LIVE_ROOT DISK("vdb", LIVE_FILE("/v") "<backingStore/>") PORT(
              "52:54:00:00:00:02",
              BRIDGE("b") "<alias name='net1'/>") "<hostdev type='pci'>" PCI("9") "</hostdev>"));
    assert_merged(added);

    merge(added,
          DOMAIN(LIVE_ROOT DISK("vdb", LIVE_FILE("/v")) PORT(
              "52:54:00:00:00:02",
              BRIDGE("b") "<target dev='vnet1'/>") "<hostdev type='pci'>" PCI("9") "</hostdev>"),
          DOMAIN(LIVE_ROOT));
    assert_merged(DOMAIN(ROOT));

    /* Never part of the definition: nothing to take away. */
    merge(DOMAIN(ROOT), DOMAIN(LIVE_ROOT DISK("vdb", LIVE_FILE("/v"))), DOMAIN(LIVE_ROOT));
    assert_null(merged);
    /* What has its place at the next start stays ... */
    merge(DOMAIN(ROOT DISK("vdb", FILE_OF("/next"))),
          DOMAIN(LIVE_ROOT DISK("vdb", LIVE_FILE("/v"))), DOMAIN(LIVE_ROOT));
    assert_null(merged);
    /* ... unless the guest has got something else there. */
    merge(DOMAIN(ROOT DISK("vdb", FILE_OF("/next"))), DOMAIN(LIVE_ROOT),
          DOMAIN(LIVE_ROOT DISK("vdb", LIVE_FILE("/v"))));
    assert_merged(DOMAIN(ROOT DISK("vdb", FILE_OF("/v"))));
}

static void port_changes_its_network(void **state)
{
    (void)state;
    merge(DOMAIN(ROOT PORT("52:54:00:00:00:02", BRIDGE("a"))),
          DOMAIN(LIVE_ROOT PORT("52:54:00:00:00:02", BRIDGE("a") "<link state='up'/>")),
          DOMAIN(LIVE_ROOT PORT("52:54:00:00:00:02", BRIDGE("a") "<link state='down'/>")));
    assert_null(merged);
    merge(DOMAIN(ROOT PORT("52:54:00:00:00:02", BRIDGE("a"))),
          DOMAIN(LIVE_ROOT PORT("52:54:00:00:00:02", BRIDGE("a"))),
          DOMAIN(LIVE_ROOT PORT("52:54:00:00:00:02", BRIDGE("b"))));
    assert_merged(DOMAIN(ROOT PORT("52:54:00:00:00:02", BRIDGE("b"))));
}

static void what_is_no_domain_is_refused(void **state)
{
    static const char good[] = DOMAIN(ROOT);
    static const char *const bad[] = {"", "<domain/>", "<network><devices/></network>", "<domain>"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(definition_merge(bad[i], good, good, &merged, &err), -EINVAL);
        assert_int_equal(definition_merge(good, bad[i], good, &merged, &err), -EINVAL);
        assert_int_equal(definition_merge(good, good, bad[i], &merged, &err), -EINVAL);
        assert_null(merged);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nothing_happened),
        TEST(external_snapshot_is_brought_over),
        TEST(chain_is_brought_over_where_it_is_named),
        TEST(disk_that_moved_to_another_kind_of_storage),
        TEST(medium_is_ejected),
        TEST(devices_come_and_go),
        TEST(port_changes_its_network),
        TEST(what_is_no_domain_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
