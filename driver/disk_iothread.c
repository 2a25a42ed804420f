/* See disk_iothread.h. */
#include "driver/disk_iothread.h"

#include <errno.h>

#include "common/cleanup.h"
#include "driver/driver.h"
#include "driver/libvirt_connection.h"
#include "driver/qemu_process.h"
#include "driver/xml_node.h"

#define FIRST_GOOD_VERSION QEMU_VERSION(9, 0, 0)

/* <driver iothread='1'/>, or <driver><iothreads>...</iothreads></driver> since libvirt 10.0. */
static bool is_mapped(const xmlNode *device)
{
    const xmlNode *driver = xml_child_named(device, "driver");
    return driver && (xmlHasProp(driver, (const xmlChar *)"iothread") ||
                      xml_child_named(driver, "iothreads"));
}

/* Any of them when it is not told which: the address is there once the guest runs. */
static bool controller_is_mapped(const xmlNode *devices, const xmlNode *disk)
{
    char number[16];
    if (!xml_copy_attribute(xml_child_named(disk, "address"), "controller", number, sizeof(number)))
        return true;
    for (const xmlNode *controller = xml_child_named(devices, "controller"); controller;
         controller = xml_next_named(controller->next, "controller"))
        if (xml_attribute_is(controller, "type", "scsi") && is_mapped(controller) &&
            (!number[0] || xml_attribute_is(controller, "index", number)))
            return true;
    return false;
}

static const xmlNode *find_disk(const xmlNode *devices, const char *disk_target)
{
    const xmlNode *disk = xml_child_named(devices, "disk");
    while (disk && !xml_attribute_is(xml_child_named(disk, "target"), "dev", disk_target))
        disk = xml_next_named(disk->next, "disk");
    return disk;
}

int disk_iothread_find(const char *xml, const char *disk_target, bool *ret_mapped,
                       struct error *err)
{
    xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    int r = xml_parse_domain(xml, &document, &devices, err);
    if (r < 0)
        return r;
    const xmlNode *disk = find_disk(devices, disk_target);
    if (!disk)
        r = xml_bad_domain(err, "the disk that is to be read is not there any more");
    else
        *ret_mapped =
            is_mapped(disk) || (xml_attribute_is(xml_child_named(disk, "target"), "bus", "scsi") &&
                                controller_is_mapped(devices, disk));
    xmlFreeDoc(document);
    return r;
}

static int read_emulator(const char *xml, char ret_emulator[DRIVER_PATH_MAX], struct error *err)
{
    xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    int r = xml_parse_domain(xml, &document, &devices, err);
    if (r < 0)
        return r;
    xmlChar *text = xmlNodeGetContent(xml_child_named(devices, "emulator"));
    (void)snprintf(ret_emulator, DRIVER_PATH_MAX, "%s", text ? (const char *)text : "");
    xmlFree(text);
    xmlFreeDoc(document);
    return 0;
}

static int check_version(virDomainPtr domain, const char *xml, const char *disk_target,
                         struct error *err)
{
    static const char why[] = "its reader would end QEMU before 9.0";
    char emulator[DRIVER_PATH_MAX];
    struct error unknown = ERROR_INIT;
    unsigned version = 0;
    int r = read_emulator(xml, emulator, err);
    if (r < 0)
        return r;
    if (qemu_process_version(QEMU_PID_DIRECTORY, virDomainGetName(domain), emulator, &version,
                             &unknown) < 0)
        return error_set(err, EOPNOTSUPP, EXC_INTERNAL_ERROR,
                         "disk %s has an iothread, and %s: which runs is not known, %s",
                         disk_target, why, unknown.message);
    if (version < FIRST_GOOD_VERSION)
        return error_set(err, EOPNOTSUPP, EXC_INTERNAL_ERROR,
                         "disk %s has an iothread, and %s: %u.%u.%u runs", disk_target, why,
                         version / 1000000, version / 1000 % 1000, version % 1000);
    return 0;
}

int disk_iothread_check(virDomainPtr domain, const char *disk_target, struct error *err)
{
    bool mapped = false;
    cleanup_free char *xml = virDomainGetXMLDesc(domain, 0);
    if (!xml)
        return libvirt_error(err, "cannot read the domain's definition");
    int r = disk_iothread_find(xml, disk_target, &mapped, err);
    return r == 0 && mapped ? check_version(domain, xml, disk_target, err) : r;
}
