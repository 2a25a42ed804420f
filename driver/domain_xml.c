/* See domain_xml.h. */
#include "driver/domain_xml.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "driver/xml_node.h"

#define DEVICES_MAX 256

/* The path in a <source>: attribute file, dev or dir, whichever is there. */
static bool copy_source_path(const xmlNode *source, char *ret_path, size_t size)
{
    static const char *const names[] = {"file", "dev", "dir"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!xml_copy_attribute(source, names[i], ret_path, size))
            return false;
        if (ret_path[0])
            return true;
    }
    return true;
}

/* nova.virt.libvirt.utils.get_disk_type_from_path; all that is not special is a file. */
static enum disk_source_type source_type_of(const char *path)
{
    char descriptor[DRIVER_PATH_MAX + 32];
    struct stat st;
    if (strncmp(path, "/dev", 4) == 0)
        return DISK_SOURCE_LVM;
    if (strncmp(path, "rbd:", 4) == 0)
        return DISK_SOURCE_RBD;
    (void)snprintf(descriptor, sizeof(descriptor), "%s/DiskDescriptor.xml", path);
    if (stat(descriptor, &st) == 0)
        return DISK_SOURCE_PLOOP;
    return DISK_SOURCE_FILE;
}

static int read_path(const xmlNode *disk, struct domain_description *description, struct error *err)
{
    const xmlNode *source = xml_child_named(disk, "source");
    char *path = description->disk_path;
    if (!copy_source_path(source, path, DRIVER_PATH_MAX))
        return xml_bad_domain(err, "the root disk's path is too long");
    if (xml_attribute_is(disk, "type", "mount"))
        path[0] = '\0';
    if (!path[0] && xml_attribute_is(source, "protocol", "rbd")) {
        (void)snprintf(path, DRIVER_PATH_MAX, "rbd:");
        if (!xml_copy_attribute(source, "name", path + 4, DRIVER_PATH_MAX - 4))
            return xml_bad_domain(err, "the root disk's RBD name is too long");
        if (!path[4])
            path[0] = '\0';
    }
    if (!path[0])
        return xml_bad_domain(
            err, "Can't retrieve root device path from instance libvirt configuration");
    if (path[0] != '/' && strncmp(path, "rbd:", 4) != 0)
        return xml_bad_domain(err, "the root disk's path is not absolute");
    description->source_type = source_type_of(path);
    return 0;
}

/* <backingStore/> without a type ends the chain. */
static int read_backing(const xmlNode *disk, struct domain_description *description,
                        struct error *err)
{
    const xmlNode *store = xml_child_named(disk, "backingStore");
    description->backing_known = store != NULL;
    description->has_backing = store && xmlHasProp(store, (const xmlChar *)"type");
    if (!description->has_backing)
        return 0;
    struct domain_backing *backing = &description->backing;
    if (!copy_source_path(xml_child_named(store, "source"), backing->path, sizeof(backing->path)) ||
        !xml_copy_attribute(xml_child_named(store, "format"), "type", backing->format,
                            sizeof(backing->format)))
        return xml_bad_domain(err, "a path or format in <backingStore> is too long");
    return 0;
}

static int read_mirror(const xmlNode *disk, struct domain_description *description,
                       struct error *err)
{
    const xmlNode *mirror = xml_child_named(disk, "mirror");
    description->has_mirror = mirror != NULL;
    if (!copy_source_path(xml_child_named(mirror, "source"), description->mirror_path,
                          sizeof(description->mirror_path)))
        return xml_bad_domain(err, "the path in <mirror> is too long");
    return 0;
}

static int read_disk(const xmlNode *devices, struct domain_description *description,
                     struct error *err)
{
    const xmlNode *disk = xml_child_named(devices, "disk");
    if (!disk)
        return xml_bad_domain(err, "there is no <disk>");
    if (!xml_copy_attribute(xml_child_named(disk, "target"), "dev", description->disk_target,
                            sizeof(description->disk_target)) ||
        !xml_copy_attribute(xml_child_named(disk, "driver"), "type", description->disk_format,
                            sizeof(description->disk_format)))
        return xml_bad_domain(err, "the root disk's target or format is too long");
    if (!description->disk_target[0])
        return xml_bad_domain(err, "the root disk has no target");
    int r = read_path(disk, description, err);
    if (r == 0)
        r = read_backing(disk, description, err);
    if (r == 0)
        r = read_mirror(disk, description, err);
    return r;
}

/* A PCI address as nova writes it, dddd:bb:ss.f; NULL when it is not one. */
static char *pci_address(const xmlNode *address)
{
    static const char *const names[] = {"domain", "bus", "slot", "function"};
    unsigned long part[ARRAY_SIZE(names)] = {0};
    char *text = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char value[32];
        if (!xml_copy_attribute(address, names[i], value, sizeof(value)) || !value[0])
            return NULL;
        char *end;
        part[i] = strtoul(value, &end, 0);
        if (*end)
            return NULL;
    }
    if (asprintf(&text, "%04lx:%02lx:%02lx.%lx", part[0], part[1], part[2], part[3]) < 0)
        return NULL;
    return text;
}

/* What the element's <source> names: the PCI address, the mdev's uuid or the vDPA device. */
static char *device_id(const xmlNode *element)
{
    const xmlNode *source = xml_child_named(element, "source");
    const xmlNode *address = xml_child_named(source, "address");
    char value[DRIVER_PATH_MAX];
    if (xml_attribute_is(element, "type", "mdev"))
        return xml_copy_attribute(address, "uuid", value, sizeof(value)) && value[0] ? strdup(value)
                                                                                     : NULL;
    if (xml_attribute_is(element, "type", "vdpa"))
        return xml_copy_attribute(source, "dev", value, sizeof(value)) && value[0] ? strdup(value)
                                                                                   : NULL;
    return pci_address(address);
}

static bool device_kind(const xmlNode *element, enum domain_device_kind *ret_kind)
{
    if (xml_is_element(element, "hostdev") && xml_attribute_is(element, "type", "pci"))
        *ret_kind = DOMAIN_DEVICE_PCI;
    else if (xml_is_element(element, "hostdev") && xml_attribute_is(element, "type", "mdev"))
        *ret_kind = DOMAIN_DEVICE_MDEV;
    else if (xml_is_element(element, "interface") &&
             (xml_attribute_is(element, "type", "hostdev") ||
              xml_attribute_is(element, "type", "vdpa")))
        *ret_kind = DOMAIN_DEVICE_INTERFACE;
    else
        return false;
    return true;
}

/* The element as text, without its <alias>, which libvirt gives anew. */
static char *element_xml(xmlDoc *document, xmlNode *element)
{
    xmlNode *alias = xml_child_named(element, "alias");
    if (alias) {
        xmlUnlinkNode(alias);
        xmlFreeNode(alias);
    }
    xmlBuffer *buffer = xmlBufferCreate();
    char *text = NULL;
    if (buffer && xmlNodeDump(buffer, document, element, 0, 0) > 0)
        text = strdup((const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    return text;
}

static int read_devices(xmlDoc *document, const xmlNode *devices,
                        struct domain_description *description, struct error *err)
{
    description->devices = calloc(DEVICES_MAX, sizeof(*description->devices));
    if (!description->devices)
        return error_nomem(err);
    for (xmlNode *element = devices->children; element; element = element->next) {
        enum domain_device_kind kind;
        if (!device_kind(element, &kind))
            continue;
        if (description->device_count == DEVICES_MAX)
            return xml_bad_domain(err, "more host devices than anybody has");
        struct domain_device *device = &description->devices[description->device_count++];
        device->kind = kind;
        device->id = device_id(element);
        if (!device->id)
            return xml_bad_domain(err, "a host device's <source> names none");
        device->xml = element_xml(document, element);
        if (!device->xml)
            return error_nomem(err);
    }
    return 0;
}

int domain_xml_parse(const char *xml, struct domain_description **ret_description,
                     struct error *err)
{
    xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    int r = xml_parse_domain(xml, &document, &devices, err);
    if (r < 0)
        return r;
    struct domain_description *description = calloc(1, sizeof(*description));
    r = description ? read_disk(devices, description, err) : error_nomem(err);
    if (r == 0)
        r = read_devices(document, devices, description, err);
    xmlFreeDoc(document);
    if (r < 0) {
        domain_description_free(description);
        return r;
    }
    *ret_description = description;
    return 0;
}

void domain_description_free(struct domain_description *description)
{
    if (!description)
        return;
    for (size_t i = 0; i < description->device_count; i++) {
        free(description->devices[i].id);
        free(description->devices[i].xml);
    }
    free(description->devices);
    free(description);
}

bool domain_description_has_device(const struct domain_description *description,
                                   const struct domain_device *device)
{
    for (size_t i = 0; i < description->device_count; i++)
        if (description->devices[i].kind == device->kind &&
            strcmp(description->devices[i].id, device->id) == 0)
            return true;
    return false;
}
