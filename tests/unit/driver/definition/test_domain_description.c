/* SPDX-License-Identifier: Apache-2.0 */
/* driver/definition/domain_description.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver/definition/domain_description.h"

#define DOMAIN(devices) "<domain type='kvm'><devices>" devices "</devices></domain>"
#define DISK(type, inside)                                                                         \
    DOMAIN("<disk type='" type "' device='disk'><driver type='qcow2'/>" inside                     \
           "<target dev='vda'/></disk>")

static struct domain_description *parse(const char *xml)
{
    struct domain_description *description = NULL;
    struct error err = ERROR_INIT;
    if (domain_description_parse(xml, &description, &err) < 0)
        fail_msg("%s", err.message);
    return description;
}

static void assert_refused(const char *xml, const char *why)
{
    struct domain_description *description = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(domain_description_parse(xml, &description, &err), -EINVAL);
    assert_null(description);
    assert_string_equal(err.exc, EXC_INTERNAL_ERROR);
    if (!strstr(err.message, why))
        fail_msg("\"%s\" does not say \"%s\"", err.message, why);
}

/* One disk that cannot be a root disk does not keep another from being it. */
static void assert_problem(const char *xml, const char *what)
{
    struct domain_description *description = parse(xml);
    const char *problem = description->disks[0].problem;
    if (!problem || !strstr(problem, what))
        fail_msg("\"%s\" does not say \"%s\"", problem ? problem : "", what);
    domain_description_free(description);
}

static void bad_disks_are_told_of(void **state)
{
    (void)state;
    assert_problem(DOMAIN("<disk type='file'><source file='/d'/></disk>"), "no target");
    assert_problem(DISK("file", "<source file='/d'><slices><slice type='storage' offset='0' "
                                "size='512'/></slices></source>"),
                   "part of its file");
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = calloc(1, 65536);
    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

static void novas_domain_is_read(void **state)
{
    (void)state;
    char *xml = read_file("tests/unit/driver/data/nova-host-devices.xml");
    struct domain_description *description = parse(xml);
    assert_int_equal(description->disk_count, 2);
    const struct domain_disk *disk = domain_description_disk(description, "vda");
    assert_non_null(disk);
    assert_null(disk->problem);
    assert_true(disk->chain_known);
    assert_int_equal(disk->layer_count, 2);
    assert_string_equal(disk->layers[0].path,
                        "/var/lib/nova/instances/ff63a4bd-ab90-44ed-aff7-f7630d1f1df8/disk");
    assert_string_equal(disk->layers[0].format, "qcow2");
    assert_string_equal(disk->layers[1].path,
                        "/var/lib/nova/instances/_base/505e9ecfe928d796357686ae6987938ce1a5bec9");
    assert_string_equal(disk->layers[1].format, "raw");
    assert_false(disk->layers[0].encrypted || disk->layers[1].encrypted);
    assert_false(disk->has_mirror);
    assert_null(domain_description_disk(description, "vdb"));
    domain_description_free(description);
    free(xml);
}

static void host_devices_are_found(void **state)
{
    (void)state;
    static const struct {
        enum domain_device_kind kind;
        const char *id;
        const char *element;
    } expected[] = {
        {DOMAIN_DEVICE_INTERFACE, "0000:81:10.3", "<interface type=\"hostdev\""},
        {DOMAIN_DEVICE_PCI, "0000:06:12.5", "<hostdev mode=\"subsystem\" type=\"pci\""},
        {DOMAIN_DEVICE_MDEV, "4b20d080-1b54-4048-85b3-a6a62d165c01",
         "<hostdev mode=\"subsystem\" type=\"mdev\""},
    };
    char *xml = read_file("tests/unit/driver/data/nova-host-devices.xml");
    struct domain_description *description = parse(xml);
    /* Neither the bridge port nor the USB device, which libvirt can save. */
    assert_int_equal(description->device_count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct domain_device *device = &description->devices[i];
        assert_int_equal(device->kind, expected[i].kind);
        assert_string_equal(device->id, expected[i].id);
        assert_int_equal(strncmp(device->xml, expected[i].element, strlen(expected[i].element)), 0);
        /* Where the guest sees it stays, libvirt's own name goes. */
        assert_non_null(strstr(device->xml, "slot=\"0x0"));
        assert_null(strstr(device->xml, "<alias"));
    }
    assert_non_null(strstr(description->devices[0].xml, "<tag id=\"1001\"/>"));
    assert_true(domain_description_has_device(description, &description->devices[1]));
    struct domain_device other = description->devices[1];
    other.kind = DOMAIN_DEVICE_INTERFACE;
    assert_false(domain_description_has_device(description, &other));
    domain_description_free(description);
    free(xml);
}

static void vdpa_port_is_a_host_device(void **state)
{
    (void)state;
    struct domain_description *description =
        parse(DOMAIN("<disk type='file'><source file='/d'/><target dev='vda'/></disk>"
                     "<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>"));
    assert_int_equal(description->device_count, 1);
    assert_int_equal(description->devices[0].kind, DOMAIN_DEVICE_INTERFACE);
    assert_string_equal(description->devices[0].id, "/dev/vhost-vdpa-0");
    domain_description_free(description);
}

static void disk_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *xml;
        const char *path;
    } cases[] = {
        {DISK("file", "<source file='/i/disk'/>"), "/i/disk"},
        {DISK("block", "<source dev='/dev/vg/u_disk'/>"), "/dev/vg/u_disk"},
        {DISK("dir", "<source dir='/i/root'/>"), "/i/root"},
        {DISK("network", "<source protocol='rbd' name='vms/u_disk'><host name='mon'/></source>"),
         "rbd:vms/u_disk"},
        {DISK("file", "<source file='/i/a&amp;b&#x20;&lt;c&apos;'/>"), "/i/a&b <c'"},
        {DISK("file", ""), ""}, /* an empty drive */
        {DISK("file", "<source/>"), ""},
        {DISK("mount", "<source file='/d'/>"), ""},
        {DISK("network", "<source protocol='rbd'/>"), ""},
        {DISK("network", "<source protocol='nbd' name='x'/>"), ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct domain_description *description = parse(cases[i].xml);
        assert_int_equal(description->disk_count, 1);
        assert_int_equal(description->disks[0].layer_count, 1);
        assert_string_equal(description->disks[0].layers[0].path, cases[i].path);
        assert_false(description->disks[0].chain_known);
        assert_int_equal(description->device_count, 0);
        domain_description_free(description);
    }
}

static void every_layer_is_read(void **state)
{
    (void)state;
    struct domain_description *description =
        parse(DISK("file", "<source file='/i/over'/><backingStore type='file' index='2'>"
                           "<format type='qcow2'/><source file='/i/disk'/>"
                           "<backingStore type='network' index='3'><format type='raw'/>"
                           "<source protocol='rbd' name='vms/base'><encryption format='luks'/>"
                           "</source><backingStore/></backingStore></backingStore>"));
    const struct domain_disk *disk = &description->disks[0];
    assert_int_equal(disk->layer_count, 3);
    assert_true(disk->chain_known);
    assert_string_equal(disk->layers[1].path, "/i/disk");
    assert_string_equal(disk->layers[1].format, "qcow2");
    assert_string_equal(disk->layers[2].path, "rbd:vms/base");
    assert_false(disk->layers[0].encrypted || disk->layers[1].encrypted);
    assert_true(disk->layers[2].encrypted);
    domain_description_free(description);
}

static void encryption_is_seen_where_libvirt_writes_it(void **state)
{
    (void)state;
    static const char *const cases[] = {
        DISK("file", "<source file='/d'/><encryption format='luks'/>"),
        DISK("file", "<source file='/d'><encryption format='luks'><secret type='passphrase' "
                     "uuid='4b20d080-1b54-4048-85b3-a6a62d165c01'/></encryption></source>"),
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct domain_description *description = parse(cases[i]);
        assert_true(description->disks[0].layers[0].encrypted);
        domain_description_free(description);
    }
}

static void end_of_the_backing_chain_is_known(void **state)
{
    (void)state;
    struct domain_description *description =
        parse(DISK("file", "<source file='/d'/><backingStore/>"));
    assert_true(description->disks[0].chain_known);
    assert_int_equal(description->disks[0].layer_count, 1);
    domain_description_free(description);
    /* Of a guest that has stopped libvirt knows what it has put on top, and no end. */
    description = parse(DISK("file", "<source file='/over'/><backingStore type='file'><format "
                                     "type='qcow2'/><source file='/disk'/></backingStore>"));
    assert_false(description->disks[0].chain_known);
    assert_int_equal(description->disks[0].layer_count, 2);
    domain_description_free(description);
}

static void mirror_is_seen(void **state)
{
    (void)state;
    struct domain_description *description = parse(
        DISK("file", "<source file='/d'/><backingStore/><mirror type='file' job='copy' "
                     "ready='yes'><format type='qcow2'/><source file='/s/x.delta'/></mirror>"));
    assert_true(description->disks[0].has_mirror);
    assert_string_equal(description->disks[0].mirror_path, "/s/x.delta");
    domain_description_free(description);
}

static void broken_definitions_are_refused(void **state)
{
    (void)state;
    assert_refused("", "well-formed");
    assert_refused("<domain>", "well-formed");
    assert_refused("\xff\xfe garbage", "well-formed");
    assert_refused("<network/>", "not <domain>");
    assert_refused("<domain/>", "no <devices>");
    assert_refused(DOMAIN("<disk type='file'><source file='/d'/><target dev='vda'/></disk>"
                          "<hostdev type='pci'><source/></hostdev>"),
                   "names none");
    assert_refused(DOMAIN("<disk type='file'><source file='/d'/><target dev='vda'/></disk>"
                          "<hostdev type='pci'><source><address domain='0' bus='x' slot='1' "
                          "function='0'/></source></hostdev>"),
                   "names none");
}

static void document_types_and_entities_are_refused(void **state)
{
    (void)state;
    assert_refused("<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" DISK(
                       "file", "<source file='/d'/><x>&x;</x>"),
                   "document type declaration");
    assert_refused(
        "<!DOCTYPE domain SYSTEM 'http://127.0.0.1:1/x.dtd'>" DISK("file", "<source file='/d'/>"),
        "document type declaration");
    assert_refused(DISK("file", "<source file='/d'/>&undefined;"), "well-formed");
    /* A billion laughs, in text and in an attribute. */
    static const char bomb[] =
        "<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'>"
        "<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>"
        "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'>"
        "<!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;'>"
        "<!ENTITY e '&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;'>]>"
        "<domain x='&e;'>&e;</domain>";
    struct domain_description *description = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(domain_description_parse(bomb, &description, &err), -EINVAL);
}

#define assert_too_long(xml, size, format)                                                         \
    do {                                                                                           \
        (void)snprintf(xml, size, format, DRIVER_PATH_MAX, "x");                                   \
        assert_problem(xml, "too long");                                                           \
    } while (0)

static void sizes_are_bounded(void **state)
{
    (void)state;
    size_t size = 10U << 20;
    char *xml = malloc(size + 1);
    assert_non_null(xml);
    memset(xml, ' ', size);
    xml[size] = '\0';
    assert_refused(xml, "larger than 4 MiB");

    assert_too_long(xml, size, DISK("file", "<source file='/%*s'/>"));
    assert_too_long(xml, size, DISK("network", "<source protocol='rbd' name='%*s'/>"));
    assert_too_long(xml, size,
                    DOMAIN("<disk type='file'><source file='/d'/><target dev='%*s'/></disk>"));
    assert_too_long(xml, size,
                    DISK("file", "<source file='/d'/><backingStore type='file'>"
                                 "<source file='/%*s'/></backingStore>"));
    assert_too_long(xml, size,
                    DISK("file", "<source file='/d'/><backingStore type='file'>"
                                 "<format type='%*s'/></backingStore>"));

    size_t length = (size_t)snprintf(xml, size, "<domain><devices><disk><target dev='vda'/>");
    for (int i = 0; i < DISK_LAYERS_MAX; i++)
        length += (size_t)snprintf(xml + length, size - length, "<backingStore type='file'>");
    for (int i = 0; i < DISK_LAYERS_MAX; i++)
        length += (size_t)snprintf(xml + length, size - length, "</backingStore>");
    (void)snprintf(xml + length, size - length, "</disk></devices></domain>");
    assert_problem(xml, "too many layers");

    length = (size_t)snprintf(xml, size, "<domain><devices>");
    for (int i = 0; i < 300; i++)
        length += (size_t)snprintf(xml + length, size - length, "<disk/>");
    (void)snprintf(xml + length, size - length, "</devices></domain>");
    assert_refused(xml, "more disks");

    size_t used = (size_t)snprintf(xml, size,
                                   "<domain><devices><disk type='file'><source "
                                   "file='/d'/><target dev='vda'/></disk>");
    for (int i = 0; i < 300; i++)
        used += (size_t)snprintf(xml + used, size - used,
                                 "<hostdev type='mdev'><source><address uuid='%d'/></source>"
                                 "</hostdev>",
                                 i);
    (void)snprintf(xml + used, size - used, "</devices></domain>");
    assert_refused(xml, "more host devices");

    /* Deep nesting ends in an error, not in a crash. */
    used = 0;
    for (int i = 0; i < 100000; i++)
        used += (size_t)snprintf(xml + used, size - used, "<a>");
    assert_refused(xml, "well-formed");
    free(xml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(novas_domain_is_read),
        cmocka_unit_test(host_devices_are_found),
        cmocka_unit_test(vdpa_port_is_a_host_device),
        cmocka_unit_test(disk_kinds),
        cmocka_unit_test(every_layer_is_read),
        cmocka_unit_test(encryption_is_seen_where_libvirt_writes_it),
        cmocka_unit_test(bad_disks_are_told_of),
        cmocka_unit_test(end_of_the_backing_chain_is_known),
        cmocka_unit_test(mirror_is_seen),
        cmocka_unit_test(broken_definitions_are_refused),
        cmocka_unit_test(document_types_and_entities_are_refused),
        cmocka_unit_test(sizes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
