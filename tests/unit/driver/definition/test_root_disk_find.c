/* SPDX-License-Identifier: Apache-2.0 */
/* driver/definition/root_disk_find.c: which of a guest's disks is the root disk. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver/definition/root_disk.h"
#include "tests/unit/driver/temp_folder.h"

#define INSTANCE "ff63a4bd-ab90-44ed-aff7-f7630d1f1df8"
#define OTHER "0a2fc1f5-6f8c-4b6f-a81d-6d4a1c6d9a11"

/* In what is said below, "%I" is instances_path and "%U" the instance. */
#define FILE_DISK(target, file)                                                                    \
    "<disk type='file' device='disk'><driver type='qcow2'/><source file='" file "'/>"              \
    "<target dev='" target "'/></disk>"
#define CDROM(target, file)                                                                        \
    "<disk type='file' device='cdrom'><driver type='raw'/><source file='" file "'/>"               \
    "<target dev='" target "' bus='sata'/><readonly/></disk>"
#define EMPTY(device, target)                                                                      \
    "<disk type='file' device='" device "'><target dev='" target "'/></disk>"
#define RBD_DISK(target, name)                                                                     \
    "<disk type='network' device='disk'><driver type='raw'/><source protocol='rbd' name='" name    \
    "'/><target dev='" target "'/></disk>"
#define LVM_DISK(target, name)                                                                     \
    "<disk type='block' device='disk'><driver type='raw'/><source dev='" name "'/>"                \
    "<target dev='" target "'/></disk>"
#define OVERLAY(target, file, below)                                                               \
    "<disk type='file' device='disk'><driver type='qcow2'/><source file='" file "'/>"              \
    "<backingStore type='file'><format type='qcow2'/><source file='" below "'/><backingStore/>"    \
    "</backingStore><target dev='" target "'/></disk>"

static int make_instances(void **state)
{
    return temp_folder_make(state) || mkdir(temp_path(INSTANCE), 0755) ||
           mkdir(temp_path(OTHER), 0755) || symlink(temp_folder, temp_path("link"));
}

static char *expand(const char *text)
{
    char *xml = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&xml, &size);
    assert_non_null(stream);
    (void)fputs("<domain><devices>", stream);
    for (; *text; text++) {
        bool is_place = *text == '%' && (text[1] == 'I' || text[1] == 'U');
        if (is_place)
            (void)fputs(*++text == 'I' ? temp_folder : INSTANCE, stream);
        else
            (void)fputc(*text, stream);
    }
    (void)fputs("</devices></domain>", stream);
    (void)fclose(stream);
    return xml;
}

/* The target of the root disk, or why it is not known; static. */
static const char *find(const char *disks, const char *root_device_name)
{
    static char answer[ERROR_MESSAGE_MAX];
    struct domain_description *description = NULL;
    const struct domain_disk *disk = NULL;
    struct error err = ERROR_INIT;
    const struct guest_id guest = {.uuid = INSTANCE, .root_device_name = root_device_name};
    char *xml = expand(disks);
    if (domain_description_parse(xml, &description, &err) < 0)
        fail_msg("%s", err.message);
    int r = root_disk_find(description, &guest, temp_folder, &disk, &err);
    (void)snprintf(answer, sizeof(answer), "%s", r == 0 ? disk->target : err.message);
    if (r < 0) {
        assert_int_equal(r, -EINVAL);
        assert_string_equal(err.exc, EXC_INTERNAL_ERROR);
        assert_null(disk);
    }
    domain_description_free(description);
    free(xml);
    return answer;
}

static void assert_refused(const char *disks, const char *root_device_name, const char *why)
{
    const char *answer = find(disks, root_device_name);
    if (!strstr(answer, why))
        fail_msg("\"%s\" does not say \"%s\"", answer, why);
}

/* libvirt sorts the disks of a bus by target; buses stay in the order nova wrote them. */
static void root_disk_need_not_be_the_first(void **state)
{
    (void)state;
    static const struct {
        const char *disks, *device, *target;
    } cases[] = {
        {FILE_DISK("vda", "%I/%U/disk"), "/dev/vda", "vda"},
        {FILE_DISK("vda", "%I/%U/disk.eph0") FILE_DISK("vdb", "%I/%U/disk"), "/dev/vdb", "vdb"},
        {FILE_DISK("vda", "%I/%U/disk.swap") FILE_DISK("vdc", "%I/%U/disk"), "/dev/vdc", "vdc"},
        {CDROM("sda", "%I/%U/disk.config") FILE_DISK("sdb", "%I/%U/disk"), "/dev/sdb", "sdb"},
        {CDROM("hda", "%I/%U/disk.config") FILE_DISK("hdb", "%I/%U/disk"), "/dev/hdb", "hdb"},
        {FILE_DISK("vda", "%I/%U/disk.config") FILE_DISK("vdb", "%I/%U/disk"), "vdb", "vdb"},
        {EMPTY("floppy", "fda") EMPTY("cdrom", "hda") FILE_DISK("sda", "%I/%U/disk"), "/dev/sda",
         "sda"},
        {FILE_DISK("sda", "/mnt/x/volume-1") FILE_DISK("sdb", "%I/%U/disk"), "/dev/sdb", "sdb"},
        {CDROM("sda", "%I/%U/disk") FILE_DISK("vda", "/mnt/x/volume-1"), "/dev/sda", "sda"},
        {RBD_DISK("vda", "vms/%U_disk.eph0") RBD_DISK("vdb", "vms/%U_disk"), "/dev/vdb", "vdb"},
        {LVM_DISK("vda", "/dev/vg/%U_disk.swap") LVM_DISK("vdb", "/dev/vg/%U_disk"), "/dev/vdb",
         "vdb"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(find(cases[i].disks, cases[i].device), cases[i].target);
        assert_string_equal(find(cases[i].disks, NULL), cases[i].target);
        assert_string_equal(find(cases[i].disks, ""), cases[i].target);
    }
}

static void folder_of_the_instance_is_known_by_any_name(void **state)
{
    (void)state;
    assert_string_equal(
        find(FILE_DISK("vda", "%I/link/%U/disk.eph0") FILE_DISK("vdb", "%I/link/%U/disk"), NULL),
        "vdb");
    assert_refused(FILE_DISK("vda", "%I/" OTHER "/disk"), NULL, "none has the name");
}

/* By the device alone: a name that is not nova's, as a backup tool gives it. */
static void other_names_are_found_by_the_root_device(void **state)
{
    (void)state;
    assert_string_equal(
        find(FILE_DISK("vda", "%I/%U/disk.eph0") FILE_DISK("vdb", "%I/%U/disk.monday"), "/dev/vdb"),
        "vdb");
    assert_string_equal(find(RBD_DISK("vda", "vms/instance-00000001_disk"), "/dev/vda"), "vda");
    assert_string_equal(find(LVM_DISK("vda", "/dev/vg/root"), "/dev/vda"), "vda");
}

static void layers_on_top_do_not_hide_it(void **state)
{
    (void)state;
    assert_string_equal(find(OVERLAY("vda", "%I/%U/a", "%I/%U/disk.eph0")
                                 OVERLAY("vdb", "%I/%U/b", "%I/%U/disk"),
                             NULL),
                        "vdb");
}

static void two_answers_or_none_are_refused(void **state)
{
    (void)state;
    /* The instance is being rescued. */
    assert_refused(FILE_DISK("vda", "%I/%U/disk.rescue") FILE_DISK("vdb", "%I/%U/disk"), "/dev/vda",
                   "both vda");
    assert_refused(FILE_DISK("vda", "/mnt/x/volume-1") FILE_DISK("sda", "%I/%U/disk"), "/dev/vda",
                   "volume-1");
    assert_refused(FILE_DISK("vda", "%I/%U/disk") FILE_DISK("vdb", "%I/link/%U/disk"), "/dev/vda",
                   "name of the root disk");
    assert_refused(FILE_DISK("vda", "%I/%U/disk.eph0"), "/dev/vda", "another disk of the instance");
    assert_refused(FILE_DISK("vda", "%I/%U/disk.swap"), "/dev/vda", "another disk of the instance");
    assert_refused(RBD_DISK("vda", "vms/%U_disk.eph0"), "/dev/vda", "another disk of the instance");
    assert_refused(OVERLAY("vda", "%I/%U/a", "%I/%U/disk.eph0"), "/dev/vda",
                   "another disk of the instance");
    assert_refused(FILE_DISK("vda", "/x"), "/dev/vdb", "none of 1 is /dev/vdb");
    assert_refused(FILE_DISK("vda", "/x"), NULL, "none of 1 is named as root device");
    assert_refused("", "/dev/vda", "none of 0 is /dev/vda");
}

static void what_is_found_has_a_path(void **state)
{
    (void)state;
    assert_refused(EMPTY("disk", "vda"), "/dev/vda", "Can't retrieve root device path");
    assert_refused(FILE_DISK("vda", "json:{}"), "/dev/vda", "not absolute");
    assert_refused(FILE_DISK("vda", "-o"), "/dev/vda", "not absolute");
    assert_refused("<disk type='file'><source file='%I/%U/disk'/></disk>", "/dev/vda", "no target");
    /* Another disk may be as it likes. */
    assert_string_equal(find("<disk/>" EMPTY("cdrom", "sda") FILE_DISK("vda", "%I/%U/disk"), NULL),
                        "vda");
}

static enum disk_source_type type_of(const char *path)
{
    struct disk_layer layer = {.path = strdup(path)};
    const struct domain_disk disk = {.layers = &layer, .layer_count = 1};
    enum disk_source_type type = root_disk_source_type(&disk);
    free(layer.path);
    return type;
}

static void source_types(void **state)
{
    (void)state;
    const char *descriptor = temp_path("DiskDescriptor.xml");
    FILE *file = fopen(descriptor, "we");
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(type_of("/i/disk"), DISK_SOURCE_FILE);
    assert_int_equal(type_of("/development/disk"), DISK_SOURCE_FILE);
    assert_int_equal(type_of("/dev/vg/disk"), DISK_SOURCE_LVM);
    assert_int_equal(type_of("rbd:vms/disk"), DISK_SOURCE_RBD);
    assert_int_equal(type_of(temp_folder), DISK_SOURCE_PLOOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_disk_need_not_be_the_first),
        cmocka_unit_test(folder_of_the_instance_is_known_by_any_name),
        cmocka_unit_test(other_names_are_found_by_the_root_device),
        cmocka_unit_test(layers_on_top_do_not_hide_it),
        cmocka_unit_test(two_answers_or_none_are_refused),
        cmocka_unit_test(what_is_found_has_a_path),
        cmocka_unit_test(source_types),
    };
    return cmocka_run_group_tests(tests, make_instances, temp_folder_remove);
}
