/* SPDX-License-Identifier: Apache-2.0 */
/* See disk_iothread.h. */
#include "driver/block/disk_iothread.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/qemu_process.h"

#define FIRST_GOOD_VERSION QEMU_VERSION(9, 0, 0)

/* <driver iothread='1'/>, or <driver><iothreads>...</iothreads></driver> since libvirt 10.0. */
static bool is_mapped(const xmlNode *device)
{
    const xmlNode *driver = xml_node_child_named(device, "driver");
    return driver && (xmlHasProp(driver, (const xmlChar *)"iothread") ||
                      xml_node_child_named(driver, "iothreads"));
}

/* Any controller counts when the disk has no address, which it has once the guest runs. */
static bool controller_is_mapped(const xmlNode *devices, const xmlNode *disk)
{
    char number[16];
    if (!xml_node_copy_attribute(xml_node_child_named(disk, "address"), "controller", number,
                                 sizeof(number)))
        return true;
    for (const xmlNode *controller = xml_node_child_named(devices, "controller"); controller;
         controller = xml_node_next_named(controller->next, "controller"))
        if (xml_node_attribute_is(controller, "type", "scsi") && is_mapped(controller) &&
            (!number[0] || xml_node_attribute_is(controller, "index", number)))
            return true;
    return false;
}

static const xmlNode *find_disk(const xmlNode *devices, const char *disk_target)
{
    const xmlNode *disk = xml_node_child_named(devices, "disk");
    while (disk && !xml_node_attribute_is(xml_node_child_named(disk, "target"), "dev", disk_target))
        disk = xml_node_next_named(disk->next, "disk");
    return disk;
}

/* "pc-q35-9.0": upstream's own names only, others count by their own versions. */
static unsigned read_machine_version(const xmlNode *type)
{
    char machine[64];
    unsigned major = 0, minor = 0;
    if (!xml_node_copy_attribute(type, "machine", machine, sizeof(machine)))
        return 0;
    const char *dash = strrchr(machine, '-');
    if (!dash || dash[1] < '0' || dash[1] > '9' || sscanf(dash + 1, "%3u.%3u", &major, &minor) != 2)
        return 0;
    return QEMU_VERSION(major, minor, 0);
}

static int read_facts(const xmlNode *devices, const char *disk_target,
                      struct disk_iothread_facts *facts, struct error *err)
{
    const xmlNode *disk = find_disk(devices, disk_target);
    if (!disk)
        return xml_node_bad_domain(err, "the disk that is to be read is not there any more");
    bool is_scsi = xml_node_attribute_is(xml_node_child_named(disk, "target"), "bus", "scsi");
    xmlChar *emulator = xmlNodeGetContent(xml_node_child_named(devices, "emulator"));
    *facts = (struct disk_iothread_facts){
        .mapped = is_mapped(disk) || (is_scsi && controller_is_mapped(devices, disk)),
        .machine_version = read_machine_version(
            xml_node_child_named(xml_node_child_named(devices->parent, "os"), "type"))};
    (void)snprintf(facts->emulator, sizeof(facts->emulator), "%s",
                   emulator ? (const char *)emulator : "");
    xmlFree(emulator);
    return 0;
}

int disk_iothread_read(const char *xml, const char *disk_target,
                       struct disk_iothread_facts *ret_facts, struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    int r = xml_node_parse_domain(xml, &document, &devices, err);
    return r < 0 ? r : read_facts(devices, disk_target, ret_facts, err);
}

static int check_version(virDomainPtr domain, const struct disk_iothread_facts *facts,
                         const char *disk_target, struct error *err)
{
    struct error unknown = ERROR_INIT;
    unsigned version = facts->machine_version;
    if (version >= FIRST_GOOD_VERSION)
        return 0;
    if (qemu_process_version(QEMU_PID_DIRECTORY, virDomainGetName(domain), facts->emulator,
                             &version, &unknown) < 0)
        return error_set(err, EOPNOTSUPP, EXC_INTERNAL_ERROR,
                         "disk %s has an iothread, and its reader would end QEMU before 9.0: which "
                         "runs is not known, %s",
                         disk_target, unknown.message);
    if (version < FIRST_GOOD_VERSION)
        return error_set(err, EOPNOTSUPP, EXC_INTERNAL_ERROR,
                         "disk %s has an iothread, and its reader would end QEMU before 9.0: "
                         "%u.%u.%u runs",
                         disk_target, version / 1000000, version / 1000 % 1000, version % 1000);
    return 0;
}

int disk_iothread_check(virDomainPtr domain, const char *disk_target, struct error *err)
{
    struct disk_iothread_facts facts;
    cleanup_free char *xml = virDomainGetXMLDesc(domain, 0);
    if (!xml)
        return libvirt_error(err, "cannot read the domain's definition");
    int r = disk_iothread_read(xml, disk_target, &facts, err);
    if (r < 0)
        return r;
    log_debug("disk %s: %s iothread, machine type of QEMU version %u (0: not known)", disk_target,
              facts.mapped ? "has an" : "has no", facts.machine_version);
    return facts.mapped ? check_version(domain, &facts, disk_target, err) : 0;
}
