/* driver/domain_xml.c */
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

#include "driver/domain_xml.h"

#define DOMAIN(devices) "<domain type='kvm'><devices>" devices "</devices></domain>"
#define DISK(type, inside)                                                                         \
    DOMAIN("<disk type='" type "' device='disk'><driver type='qcow2'/>" inside                     \
           "<target dev='vda'/></disk>")

static struct domain_description *parse(const char *xml)
{
    struct domain_description *description = NULL;
    struct error err = ERROR_INIT;
    if (domain_xml_parse(xml, &description, &err) < 0)
        fail_msg("%s", err.message);
    return description;
}

static void assert_refused(const char *xml, const char *why)
{
    struct domain_description *description = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(domain_xml_parse(xml, &description, &err), -EINVAL);
    assert_null(description);
    assert_string_equal(err.exc, EXC_INTERNAL_ERROR);
    if (!strstr(err.message, why))
        fail_msg("\"%s\" does not say \"%s\"", err.message, why);
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
    assert_int_equal(description->source_type, DISK_SOURCE_FILE);
    assert_string_equal(description->disk_path,
                        "/var/lib/nova/instances/ff63a4bd-ab90-44ed-aff7-f7630d1f1df8/disk");
    assert_string_equal(description->disk_target, "vda");
    assert_string_equal(description->disk_format, "qcow2");
    assert_true(description->backing_known);
    assert_true(description->has_backing);
    assert_string_equal(description->backing.path,
                        "/var/lib/nova/instances/_base/505e9ecfe928d796357686ae6987938ce1a5bec9");
    assert_string_equal(description->backing.format, "raw");
    assert_false(description->has_mirror);
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

static void root_disk_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *xml;
        const char *path;
        enum disk_source_type type;
    } cases[] = {
        {DISK("file", "<source file='/i/disk'/>"), "/i/disk", DISK_SOURCE_FILE},
        {DISK("block", "<source dev='/dev/vg/u_disk'/>"), "/dev/vg/u_disk", DISK_SOURCE_LVM},
        {DISK("dir", "<source dir='/i/root'/>"), "/i/root", DISK_SOURCE_FILE},
        {DISK("network", "<source protocol='rbd' name='vms/u_disk'><host name='mon'/></source>"),
         "rbd:vms/u_disk", DISK_SOURCE_RBD},
        /* The first disk counts, whatever it is called. */
        {DOMAIN("<disk type='file'><source file='/first'/><target dev='vdb'/></disk>"
                "<disk type='file'><source file='/second'/><target dev='vda'/></disk>"),
         "/first", DISK_SOURCE_FILE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct domain_description *description = parse(cases[i].xml);
        assert_string_equal(description->disk_path, cases[i].path);
        assert_int_equal(description->source_type, cases[i].type);
        assert_false(description->backing_known);
        assert_int_equal(description->device_count, 0);
        domain_description_free(description);
    }
}

static void ploop_is_known_by_its_descriptor(void **state)
{
    (void)state;
    char directory[] = "/var/tmp/test_domain_xml.XXXXXX";
    assert_non_null(mkdtemp(directory));
    char descriptor[64], xml[512];
    (void)snprintf(descriptor, sizeof(descriptor), "%s/DiskDescriptor.xml", directory);
    FILE *file = fopen(descriptor, "we");
    assert_non_null(file);
    fclose(file);
    (void)snprintf(xml, sizeof(xml), DISK("file", "<source file='%s'/>"), directory);
    struct domain_description *description = parse(xml);
    assert_int_equal(description->source_type, DISK_SOURCE_PLOOP);
    domain_description_free(description);
    assert_int_equal(unlink(descriptor), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void end_of_the_backing_chain_is_known(void **state)
{
    (void)state;
    struct domain_description *description =
        parse(DISK("file", "<source file='/d'/><backingStore/>"));
    assert_true(description->backing_known);
    assert_false(description->has_backing);
    domain_description_free(description);
}

static void mirror_is_seen(void **state)
{
    (void)state;
    struct domain_description *description = parse(
        DISK("file", "<source file='/d'/><backingStore/><mirror type='file' job='copy' "
                     "ready='yes'><format type='qcow2'/><source file='/s/x.delta'/></mirror>"));
    assert_true(description->has_mirror);
    assert_string_equal(description->mirror_path, "/s/x.delta");
    domain_description_free(description);
}

static void escapes_in_paths_are_decoded(void **state)
{
    (void)state;
    struct domain_description *description =
        parse(DISK("file", "<source file='/i/a&amp;b&#x20;&lt;c&apos;'/>"));
    assert_string_equal(description->disk_path, "/i/a&b <c'");
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
    assert_refused(DOMAIN(""), "no <disk>");
    assert_refused(DOMAIN("<disk type='file'><source file='/d'/></disk>"), "no target");
    assert_refused(DISK("file", ""), "Can't retrieve root device path");
    assert_refused(DISK("file", "<source/>"), "Can't retrieve root device path");
    assert_refused(DISK("mount", "<source file='/d'/>"), "Can't retrieve root device path");
    assert_refused(DISK("network", "<source protocol='rbd'/>"), "Can't retrieve root device path");
    assert_refused(DISK("network", "<source protocol='nbd' name='x'/>"),
                   "Can't retrieve root device path");
    assert_refused(DISK("file", "<source file='json:{}'/>"), "not absolute");
    assert_refused(DISK("file", "<source file='-o'/>"), "not absolute");
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
    assert_int_equal(domain_xml_parse(bomb, &description, &err), -EINVAL);
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    size_t size = 10U << 20;
    char *xml = malloc(size + 1);
    assert_non_null(xml);
    memset(xml, ' ', size);
    xml[size] = '\0';
    assert_refused(xml, "larger than 4 MiB");

    (void)snprintf(xml, size, DISK("file", "<source file='/%*s'/>"), DRIVER_PATH_MAX, "x");
    assert_refused(xml, "too long");
    (void)snprintf(xml, size, DISK("network", "<source protocol='rbd' name='%*s'/>"),
                   DRIVER_PATH_MAX, "x");
    assert_refused(xml, "too long");
    (void)snprintf(xml, size,
                   DOMAIN("<disk type='file'><source file='/d'/><target dev='%*s'/></disk>"),
                   DRIVER_FORMAT_MAX, "x");
    assert_refused(xml, "too long");
    (void)snprintf(xml, size,
                   DISK("file", "<source file='/d'/><backingStore type='file'><source "
                                "file='/%*s'/></backingStore>"),
                   DRIVER_PATH_MAX, "x");
    assert_refused(xml, "too long");

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
        cmocka_unit_test(root_disk_kinds),
        cmocka_unit_test(ploop_is_known_by_its_descriptor),
        cmocka_unit_test(end_of_the_backing_chain_is_known),
        cmocka_unit_test(mirror_is_seen),
        cmocka_unit_test(escapes_in_paths_are_decoded),
        cmocka_unit_test(broken_definitions_are_refused),
        cmocka_unit_test(document_types_and_entities_are_refused),
        cmocka_unit_test(sizes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
