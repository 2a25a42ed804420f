/* SPDX-License-Identifier: Apache-2.0 */
/* domain/revert_point.c, revert_definition.c: what a checkpoint says the domain was, and its
 * definition with the disks in other files. */
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
#include "domain/nova_guest.h"
#include "domain/revert_definition.h"
#include "domain/revert_point.h"

static struct error err;
static struct revert_point point;

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    point = (struct revert_point){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    revert_point_done(&point);
    return 0;
}

#define QCOW2(file, target)                                                                        \
    "<driver type='qcow2'/><source file='" file "'/><target dev='" target "'/>"
#define DISK(inner) "<disk type='file' device='disk'>" inner "</disk>"
#define CD "<disk type='file' device='cdrom'><target dev='sda'/></disk>"
#define DEVICES(disks) "<devices>" disks "</devices>"
#define MADE(target, file)                                                                         \
    "<disk name='" target "' snapshot='external'><source file='" file "'/></disk>"
#define NO_MEMORY "<memory snapshot='no'/>"
#define VDA DISK(QCOW2("/d/a", "vda"))

static int parse(const char *head, const char *made, const char *domain, const char *next)
{
    char xml[8192];
    (void)snprintf(xml, sizeof(xml),
                   "<domainsnapshot><name>one</name><parent><name>zero</name></parent>%s"
                   "<disks>%s</disks><domain type='qemu'>%s</domain>%s</domainsnapshot>",
                   head, made, domain, next);
    revert_point_done(&point);
    err = (struct error)ERROR_INIT;
    return revert_point_parse(xml, &point, &err);
}

static void need(int r)
{
    if (r < 0)
        fail_msg("%s", err.message);
}

static void need_refused(int r, const char *text)
{
    assert_int_equal(r, -EINVAL);
    if (!strstr(err.message, text))
        fail_msg("%s", err.message);
}

#define RUNNING "<state>running</state>"
#define SHUT_OFF "<state>shutoff</state>"
#define MEMORY "<memory snapshot='external' file='/d/a.one.memory'/>"
#define NEXT(devices) "<inactiveDomain type='qemu'><name>then</name>" devices "</inactiveDomain>"

static void one_of_a_running_guest(void **state)
{
    (void)state;
    need(parse(RUNNING MEMORY, MADE("vda", "/d/a.one") "<disk name='sda' snapshot='no'/>",
               DEVICES(VDA CD), NEXT(DEVICES(VDA CD))));
    assert_string_equal(point.name, "one");
    assert_string_equal(point.parent, "zero");
    assert_true(point.was_running && point.has_memory && !point.is_internal);
    assert_string_equal(point.memory_file, "/d/a.one.memory");
    assert_int_equal(point.disk_count, 1);
    assert_string_equal(point.disks[0].base, "/d/a");
    assert_string_equal(point.disks[0].overlay, "/d/a.one");
    assert_string_equal(point.disks[0].format, "qcow2");
    assert_non_null(strstr(point.definition, "<domain type=\"qemu\"><name>then</name>"));
}

static void one_of_a_stopped_domain(void **state)
{
    (void)state;
    need(
        parse(SHUT_OFF NO_MEMORY, MADE("vda", "/d/a.one"), "<name>rested</name>" DEVICES(VDA), ""));
    assert_false(point.was_running || point.was_paused || point.has_memory);
    assert_non_null(strstr(point.definition, "<name>rested</name>"));
}

static void an_internal_one(void **state)
{
    (void)state;
    need(parse(RUNNING "<memory snapshot='internal'/>", "<disk name='vda' snapshot='internal'/>",
               DEVICES(VDA), NEXT(DEVICES(VDA))));
    assert_true(point.is_internal && point.has_memory);
}

static void what_is_no_whole_point_is_refused(void **state)
{
    (void)state;
    const char *made = MADE("vda", "/d/a.one");
    need_refused(parse(RUNNING MEMORY, made, DEVICES(VDA), ""), "definition of then");
    need_refused(parse("<state>crashed</state>", made, DEVICES(VDA), ""), "was crashed then");
    need_refused(parse(SHUT_OFF, made, DEVICES(VDA DISK(QCOW2("/d/b", "vdb"))), ""),
                 "disk vdb: it was not in the checkpoint");
    need_refused(
        parse(RUNNING MEMORY, made, DEVICES(VDA), NEXT(DEVICES(DISK(QCOW2("/d/other", "vda"))))),
        "disk vda: the guest's and its next start's were not the same");
    need_refused(parse(RUNNING MEMORY, made, DEVICES(VDA), NEXT(DEVICES(""))), "any more");
    need_refused(parse(SHUT_OFF, "<disk name='vda' snapshot='external'/>", DEVICES(VDA), ""),
                 "disk vda: the layer it was given then is no file");
    need_refused(parse(SHUT_OFF, "", DEVICES(CD), ""), "holds no disk");
    need_refused(parse(RUNNING "<memory snapshot='external' file='m'/>", made, DEVICES(VDA),
                       NEXT(DEVICES(VDA))),
                 "the file of its memory");
    need_refused(
        parse(RUNNING "<memory snapshot='internal'/>", made, DEVICES(VDA), NEXT(DEVICES(VDA))),
        "not of the same kind");
    need_refused(parse(SHUT_OFF, MADE("vda", "/d/a.one") "<disk name='vdb' snapshot='internal'/>",
                       DEVICES(VDA DISK(QCOW2("/d/b", "vdb"))), ""),
                 "of both kinds");
}

static void libvirts_own_work_is_left_to_it(void **state)
{
    (void)state;
    need_refused(parse(SHUT_OFF "<revertDisks/>", MADE("vda", "/d/a.one"), DEVICES(VDA), ""),
                 "virsh snapshot-revert");
    need_refused(parse(SHUT_OFF,
                       "<disk name='vda' snapshot='external'><source file='/d/a.one'/>"
                       "<snapshotDeleteInProgress/></disk>",
                       DEVICES(VDA), ""),
                 "begun to delete");
}

static void a_state_in_no_disk_is_refused(void **state)
{
    (void)state;
    const char *made = MADE("vda", "/d/a.one");
    need_refused(parse(SHUT_OFF, made, "<os><nvram>/n</nvram></os>" DEVICES(VDA), ""), "UEFI");
    need_refused(parse(SHUT_OFF, made, "<os firmware='efi'/>" DEVICES(VDA), ""), "UEFI");
    need_refused(parse(SHUT_OFF, made, DEVICES(VDA "<tpm/>"), ""), "TPM");
}

static void what_a_layer_cannot_stand_on_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *disk, *text;
    } cases[] = {
        {"<disk type='block' device='disk'><driver type='raw'/><source dev='/dev/x'/>"
         "<target dev='vda'/></disk>",
         "it was no file"},
        {DISK(QCOW2("/d/a", "vda") "<encryption format='luks'/>"), "encrypted"},
        {DISK(QCOW2("/d/a", "vda") "<transient/>"), "not kept"},
        {DISK(QCOW2("/d/a", "vda") "<shareable/>"), "shared"},
        {DISK("<driver type='vmdk'/><source file='/d/a'/><target dev='vda'/>"), "neither"},
        {DISK("<driver type='raw'/><source file='/d/a'><slices/></source><target dev='vda'/>"),
         "part of its file"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char devices[1024];
        (void)snprintf(devices, sizeof(devices), "<devices>%s</devices>", cases[i].disk);
        need_refused(parse(SHUT_OFF, MADE("vda", "/d/a.one"), devices, ""), cases[i].text);
    }
}

static void the_domain_of_now_has_the_same_disks(void **state)
{
    (void)state;
    need(parse(SHUT_OFF, MADE("vda", "/d/a.one"), DEVICES(VDA CD), ""));
    need(revert_point_check_now(
        &point, "<domain>" DEVICES(DISK(QCOW2("/d/elsewhere", "vda"))) "</domain>", &err));
    need_refused(revert_point_check_now(
                     &point, "<domain>" DEVICES(VDA DISK(QCOW2("/d/b", "vdb"))) "</domain>", &err),
                 "disk vdb: the checkpoint does not hold it");
    err = (struct error)ERROR_INIT;
    need_refused(revert_point_check_now(&point, "<domain>" DEVICES(CD) "</domain>", &err),
                 "is not the domain's any more");
    err = (struct error)ERROR_INIT;
    need_refused(revert_point_check_now(&point, "<domain>" DEVICES(VDA "<tpm/>") "</domain>", &err),
                 "TPM");
}

static void and_the_same_name(void **state)
{
    (void)state;
    const char *renamed = "<domain><name>new</name>" DEVICES(VDA) "</domain>";
    need(parse(SHUT_OFF, MADE("vda", "/d/a.one"), "<name>old</name>" DEVICES(VDA), ""));
    need(revert_point_check_now(&point, "<domain><name>old</name>" DEVICES(VDA) "</domain>", &err));
    need_refused(revert_point_check_now(&point, renamed, &err), "was called old when");
    need(parse(SHUT_OFF, "<disk name='vda' snapshot='internal'/>", "<name>old</name>" DEVICES(VDA),
               ""));
    need(revert_point_check_now(&point, renamed, &err)); /* libvirt's own way */
}

static const struct checkpoint_disk moved[] = {
    {.target = "vda", .base = "/d/a", .overlay = "/d/a.new"}};

static void disks_are_switched(void **state)
{
    (void)state;
    cleanup_free char *xml = NULL;
    need(revert_definition_switch(
        "<domain><devices><disk type='file' device='disk'><driver type='raw' cache='none'/>"
        "<source file='/d/a' index='3'><seclabel model='dac' relabel='no'/></source>"
        "<backingStore/><target dev='vda'/></disk>" CD "</devices></domain>",
        moved, 1, true, &xml, &err));
    assert_non_null(strstr(xml, "<driver type=\"qcow2\" cache=\"none\"/>"));
    assert_non_null(strstr(xml, "<source file=\"/d/a.new\"><seclabel"));
    assert_null(strstr(xml, "backingStore")); /* QEMU would see an empty disk */
    need(revert_definition_check(xml, moved, 1, false, &err));
    need_refused(revert_definition_check(xml, moved, 1, true, &err), "disk vda is not at");
}

static void a_disk_that_is_elsewhere_is_not_switched(void **state)
{
    (void)state;
    char *xml = NULL;
    need_refused(
        revert_definition_switch("<domain>" DEVICES(DISK(QCOW2("/d/b", "vda"))) "</domain>", moved,
                                 1, true, &xml, &err),
        "disk vda at /d/b, not at /d/a");
    err = (struct error)ERROR_INIT;
    need_refused(
        revert_definition_switch("<domain>" DEVICES(CD) "</domain>", moved, 1, true, &xml, &err),
        "disk vda at");
    err = (struct error)ERROR_INIT;
    need_refused(
        revert_definition_switch(
            "<domain>" DEVICES(DISK("<driver type='raw'/><source file='/d/a'><reservations/>"
                                    "</source><target dev='vda'/>")) "</domain>",
            moved, 1, true, &xml, &err),
        "not as a plain file");
    assert_null(xml);
}

static void a_guest_of_novas_stays(void **state)
{
    (void)state;
    need(nova_guest_refuse_revert("<domain>" DEVICES(VDA) "</domain>", &err));
    need_refused(
        nova_guest_refuse_revert(
            "<domain><metadata><nova:instance "
            "xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'/></metadata>" DEVICES(
                VDA) "</domain>",
            &err),
        "--force");
}

/* A layer that it was at when its memory was saved may have been merged since. */
static void a_memorys_disk_is_switched_wherever_it_was(void **state)
{
    (void)state;
    cleanup_free char *xml = NULL;
    need_refused(
        revert_definition_switch("<domain>" DEVICES(CD) "</domain>", moved, 1, false, &xml, &err),
        "disk vda at");
    err = (struct error)ERROR_INIT;
    need(revert_definition_switch("<domain>" DEVICES(DISK(QCOW2("/d/b", "vda"))) "</domain>", moved,
                                  1, false, &xml, &err));
    need(revert_definition_check(xml, moved, 1, false, &err));
}

static void what_a_guest_runs_on_is_compared(void **state)
{
    (void)state;
    need(revert_definition_check(
        "<domain>" DEVICES(DISK(
            QCOW2("/d/a.new",
                  "vda") "<backingStore type='file'>"
                         "<format type='qcow2'/><source file='/d/a'/></backingStore>")) "</domain>",
        moved, 1, true, &err));
    need_refused(revert_definition_check("<domain>" DEVICES(DISK(QCOW2(
                                             "/d/a.new", "vda") "<backingStore/>")) "</domain>",
                                         moved, 1, true, &err),
                 "disk vda is not at");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_of_a_running_guest),
        TEST(one_of_a_stopped_domain),
        TEST(an_internal_one),
        TEST(what_is_no_whole_point_is_refused),
        TEST(libvirts_own_work_is_left_to_it),
        TEST(a_state_in_no_disk_is_refused),
        TEST(what_a_layer_cannot_stand_on_is_named),
        TEST(the_domain_of_now_has_the_same_disks),
        TEST(and_the_same_name),
        TEST(disks_are_switched),
        TEST(a_disk_that_is_elsewhere_is_not_switched),
        TEST(a_guest_of_novas_stays),
        TEST(a_memorys_disk_is_switched_wherever_it_was),
        TEST(what_a_guest_runs_on_is_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
