/* SPDX-License-Identifier: Apache-2.0 */
/* domain/checkpoint_plan.c, checkpoint_plan_xml.c, checkpoint_name.c: what takes part, and under
 * which names. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <libvirt/libvirt.h>

#include "common/cleanup.h"
#include "domain/checkpoint_name.h"
#include "domain/checkpoint_plan.h"
#include "driver/definition/xml_node.h"

static struct error err;
static struct checkpoint_plan plan;

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    plan = (struct checkpoint_plan){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    checkpoint_plan_done(&plan);
    return 0;
}

#define DISK(inner) "<disk type='file' device='disk'>" inner "</disk>"
#define QCOW2(file, target)                                                                        \
    "<driver type='qcow2'/><source file='" file "'/><target dev='" target "'/>"

static int read_domain(const char *os, const char *all)
{
    char xml[4096];
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    (void)snprintf(xml, sizeof(xml), "<domain>%s<devices>%s</devices></domain>", os, all);
    if (xml_node_parse_domain(xml, &document, &devices, &err) < 0)
        fail_msg("%s", err.message);
    return checkpoint_plan_read_devices(devices, &plan, &err);
}

static int read_disks(const char *disks)
{
    return read_domain("", disks);
}

static void what_cannot_change_is_left_out(void **state)
{
    (void)state;
    assert_int_equal(
        read_disks(
            DISK(QCOW2("/d/a", "vda")) DISK(QCOW2("/d/b", "vdb") "<readonly/>") DISK(
                QCOW2("/d/c", "vdc") "<shareable/>")
                DISK("<target dev='vdd'/>") "<disk type='file' device='disk' snapshot='no'>" QCOW2(
                    "/d/e",
                    "vde") "</disk><disk type='file' device='cdrom'>" QCOW2("/d/f",
                                                                            "sda") "</disk>"),
        0);
    assert_int_equal(plan.disk_count, 1);
    assert_string_equal(plan.disks[0].target, "vda");
    assert_string_equal(plan.disks[0].base, "/d/a");
    assert_int_equal(plan.omissions.count, 5);
    assert_string_equal(plan.omissions.all[1].what, "vdc");
    assert_non_null(strstr(plan.omissions.all[1].why, "it is shared with other guests"));
}

static void needs_way_back(const char *os, const char *rest, const char *what, bool has_way_back)
{
    char all[1024];
    checkpoint_plan_done(&plan);
    (void)snprintf(all, sizeof(all), "%s%s", DISK(QCOW2("/d/a", "vda")), rest);
    assert_int_equal(read_domain(os, all), 0);
    assert_int_equal(plan.omissions.count, 1);
    assert_string_equal(plan.omissions.all[0].what, what);
    if (has_way_back != !strstr(plan.omissions.all[0].why, "`domain revert` cannot go back"))
        fail_msg("%s: %s", what, plan.omissions.all[0].why);
    assert_int_equal(plan.omissions.all[0].is_dead_end, !has_way_back);
}

/* What revert_point.c refuses is told when the checkpoint is made. */
static void that_there_is_no_way_back_is_told(void **state)
{
    (void)state;
    needs_way_back("<os><nvram>/v</nvram></os>", "", "nvram", false);
    needs_way_back("<os><loader type='pflash'>/c</loader></os>", "", "nvram", false);
    needs_way_back("<os firmware='efi'/>", "", "nvram", false);
    needs_way_back("", "<tpm/>", "tpm", false);
    needs_way_back("", DISK(QCOW2("/d/b", "vdb") "<shareable/>"), "vdb", false);
    needs_way_back("",
                   "<disk type='file' device='disk' snapshot='no'>" QCOW2("/d/b", "vdb") "</disk>",
                   "vdb", false);
    needs_way_back("", DISK(QCOW2("/d/b", "vdb") "<readonly/><shareable/>"), "vdb", true);
    needs_way_back("", DISK("<target dev='vdb'/>"), "vdb", true);
    needs_way_back("", "<disk type='file' device='cdrom'><target dev='sda'/></disk>", "sda", true);
}

static void needs_care(const char *disk, bool is_internal, const char *text)
{
    checkpoint_plan_done(&plan);
    plan.is_internal = is_internal;
    assert_int_equal(read_disks(disk), 0);
    assert_int_equal(plan.disk_count, 1);
    assert_int_equal(plan.cautions.count, text ? 1 : 0);
    if (text && !strstr(plan.cautions.all[0].why, text))
        fail_msg("%s", plan.cautions.all[0].why);
    if (text)
        assert_true(plan.cautions.all[0].is_dead_end);
}

/* Of what takes part: what revert_point.c, deletion_point.c and merge_chain.c refuse. */
static void what_nobody_comes_back_from_is_told(void **state)
{
    (void)state;
    char link[64] = "/var/tmp/test_checkpoint_plan.XXXXXX", disk[512];
    needs_care(DISK(QCOW2("/d/a", "vda")), false, NULL);
    needs_care("<disk type='block' device='disk'><driver type='qcow2'/><source dev='/dev/vg/a'/>"
               "<target dev='vda'/></disk>",
               false, "it is no file; `domain revert` cannot go back");
    needs_care(DISK(QCOW2("/d/a", "vda") "<transient/>"), false, "is thrown away");
    needs_care(DISK("<driver type='vdi'/><source file='/d/a'/><target dev='vda'/>"), false,
               "neither qcow2 nor raw");
    needs_care(DISK("<driver type='qcow2'/><source file='/d/a'><encryption format='luks'/></source>"
                    "<target dev='vda'/>"),
               true, "it is encrypted");
    assert_non_null(mkdtemp(link));
    (void)strcat(link, "/a");
    assert_int_equal(symlink("/d/a", link), 0);
    (void)snprintf(disk, sizeof(disk),
                   DISK("<driver type='raw'/><source file='%s'/><target dev='vda'/>"), link);
    needs_care(disk, false, "it is called by a link");
    assert_int_equal(unlink(link), 0);
    *strrchr(link, '/') = '\0';
    assert_int_equal(rmdir(link), 0);
}

static void refused(const char *disks, bool is_internal, const char *text)
{
    checkpoint_plan_done(&plan);
    err = (struct error)ERROR_INIT;
    plan.is_internal = is_internal;
    assert_int_equal(read_disks(disks), -EINVAL);
    if (!strstr(err.message, text))
        fail_msg("%s", err.message);
}

static void what_cannot_take_part_is_named(void **state)
{
    (void)state;
    refused("<disk type='network' device='disk'><driver type='raw'/><source protocol='nbd'/>"
            "<target dev='vdb'/></disk>",
            false, "disk vdb: it is neither a file");
    refused(DISK(QCOW2("/d/a", "vda") "<encryption format='luks'/>"), false,
            "disk vda: it is encrypted");
    refused(DISK(QCOW2("/d/a", "vda") "<mirror type='file'/>"), false, "disk vda: it is being");
    refused(DISK("<driver type='raw'/><source file='/d/a'/><target dev='vda'/>"), true,
            "disk vda: it is not qcow2");
    refused("<disk type='file' device='cdrom'><target dev='sda'/></disk>", false,
            "no disk that can take part");
}

static void libvirt_is_told_of_all(void **state)
{
    (void)state;
    cleanup_free char *xml = NULL;
    assert_int_equal(
        read_disks(DISK(QCOW2("/d/a", "vda")) DISK(QCOW2("/d/b", "vdb") "<readonly/>")), 0);
    plan.has_memory = plan.is_frozen = true;
    (void)snprintf(plan.name, sizeof(plan.name), "a&b");
    (void)snprintf(plan.memory_file, sizeof(plan.memory_file), "/d/m");
    (void)snprintf(plan.disks[0].overlay, sizeof(plan.disks[0].overlay), "/d/a.'<");
    assert_int_equal(checkpoint_plan_xml(&plan, &xml, &err), 0);
    const char *const parts[] = {
        "<name>a&amp;b</name>", "<description>" CHECKPOINT_FROZEN "</description>",
        "<memory snapshot=\"external\" file=\"/d/m\"/>",
        ("<disk name=\"vda\" snapshot=\"external\" type=\"file\"><driver type=\"qcow2\"/>"
         "<source file=\"/d/a.'&lt;\"/></disk>"),
        "<disk name=\"vdb\" snapshot=\"no\"/>"};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        if (!strstr(xml, parts[i]))
            fail_msg("%s is not in %s", parts[i], xml);
}

static void flags_of_each_kind(void **state)
{
    (void)state;
    const struct checkpoint_request plain = {0}, live = {.live = true};
    plan.runs = true;
    assert_int_equal(checkpoint_plan_flags(&plan, &plain),
                     VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC | VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY);
    plan.has_memory = true;
    assert_int_equal(checkpoint_plan_flags(&plan, &live),
                     VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC | VIR_DOMAIN_SNAPSHOT_CREATE_LIVE);
    plan.is_internal = true;
    assert_int_equal(checkpoint_plan_flags(&plan, &plain), 0);
}

static void names_do_not_grow(void **state)
{
    (void)state;
    char path[DRIVER_PATH_MAX], long_name[256];
    assert_true(checkpoint_name_overlay("/d/web.qcow2", "", "one", path));
    assert_string_equal(path, "/d/web.qcow2.one");
    assert_true(checkpoint_name_overlay("/d/web.qcow2.one", "one", "two", path));
    assert_string_equal(path, "/d/web.qcow2.two");
    assert_true(checkpoint_name_overlay("/d/web.qcow2", "one", "two", path));
    assert_string_equal(path, "/d/web.qcow2.two");
    assert_true(checkpoint_name_overlay("/d/.one", "one", "two", path)); /* all of its name */
    assert_string_equal(path, "/d/.one.two");
    /* A layer of `domain revert`. */
    assert_true(checkpoint_name_overlay("/d/web.one-20261130T063535Z", "one", "two", path));
    assert_string_equal(path, "/d/web.two");
    assert_true(checkpoint_name_overlay("/d/web.left-20261130T063535Z", "left-20261130T063535Z",
                                        "two", path));
    assert_string_equal(path, "/d/web.two");
    assert_true(checkpoint_name_overlay("/d/web.one-2026113OT063535Z", "one", "two", path));
    assert_string_equal(path, "/d/web.one-2026113OT063535Z.two");
    assert_true(checkpoint_name_overlay("/d/web.none-20261130T063535Z", "one", "two", path));
    assert_string_equal(path, "/d/web.none-20261130T063535Z.two");
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_false(checkpoint_name_overlay("/d/web", "", long_name, path));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_cannot_change_is_left_out),
        TEST(that_there_is_no_way_back_is_told),
        TEST(what_nobody_comes_back_from_is_told),
        TEST(what_cannot_take_part_is_named),
        TEST(libvirt_is_told_of_all),
        TEST(flags_of_each_kind),
        TEST(names_do_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
