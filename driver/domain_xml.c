/* See domain_xml.h. */
#include "driver/domain_xml.h"

#include <errno.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"

#define DEVICES_MAX 256

static int bad(struct error *err, const char *what)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "domain XML: %s", what);
}

static bool is_element(const xmlNode *node, const char *name)
{
    return node && node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static xmlNode *next_named(xmlNode *node, const char *name)
{
    while (node && !is_element(node, name))
        node = node->next;
    return node;
}

static xmlNode *child_named(const xmlNode *parent, const char *name)
{
    return parent ? next_named(parent->children, name) : NULL;
}

/* Copies an attribute; "" when absent. False when it does not fit. */
static bool copy_attribute(const xmlNode *node, const char *name, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    if (!node)
        return true;
    xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)name);
    bool fits = !value || (size_t)snprintf(ret_text, size, "%s", (const char *)value) < size;
    if (!fits)
        ret_text[0] = '\0';
    xmlFree(value);
    return fits;
}

static bool attribute_is(const xmlNode *node, const char *name, const char *expected)
{
    char value[64];
    return node && copy_attribute(node, name, value, sizeof(value)) && strcmp(value, expected) == 0;
}

/* The path in a <source>: attribute file, dev or dir, whichever is there. */
static bool copy_source_path(const xmlNode *source, char *ret_path, size_t size)
{
    static const char *const names[] = {"file", "dev", "dir"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!copy_attribute(source, names[i], ret_path, size))
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
    const xmlNode *source = child_named(disk, "source");
    char *path = description->disk_path;
    if (!copy_source_path(source, path, DRIVER_PATH_MAX))
        return bad(err, "the root disk's path is too long");
    if (attribute_is(disk, "type", "mount"))
        path[0] = '\0';
    if (!path[0] && attribute_is(source, "protocol", "rbd")) {
        (void)snprintf(path, DRIVER_PATH_MAX, "rbd:");
        if (!copy_attribute(source, "name", path + 4, DRIVER_PATH_MAX - 4))
            return bad(err, "the root disk's RBD name is too long");
        if (!path[4])
            path[0] = '\0';
    }
    if (!path[0])
        return bad(err, "Can't retrieve root device path from instance libvirt configuration");
    if (path[0] != '/' && strncmp(path, "rbd:", 4) != 0)
        return bad(err, "the root disk's path is not absolute");
    description->source_type = source_type_of(path);
    return 0;
}

/* <backingStore/> without a type ends the chain. */
static int read_backing(const xmlNode *disk, struct domain_description *description,
                        struct error *err)
{
    const xmlNode *store = child_named(disk, "backingStore");
    description->backing_known = store != NULL;
    description->has_backing = store && xmlHasProp(store, (const xmlChar *)"type");
    if (!description->has_backing)
        return 0;
    struct domain_backing *backing = &description->backing;
    if (!copy_source_path(child_named(store, "source"), backing->path, sizeof(backing->path)) ||
        !copy_attribute(child_named(store, "format"), "type", backing->format,
                        sizeof(backing->format)))
        return bad(err, "a path or format in <backingStore> is too long");
    return 0;
}

static int read_mirror(const xmlNode *disk, struct domain_description *description,
                       struct error *err)
{
    const xmlNode *mirror = child_named(disk, "mirror");
    description->has_mirror = mirror != NULL;
    if (!copy_source_path(child_named(mirror, "source"), description->mirror_path,
                          sizeof(description->mirror_path)))
        return bad(err, "the path in <mirror> is too long");
    return 0;
}

static int read_disk(const xmlNode *devices, struct domain_description *description,
                     struct error *err)
{
    const xmlNode *disk = child_named(devices, "disk");
    if (!disk)
        return bad(err, "there is no <disk>");
    if (!copy_attribute(child_named(disk, "target"), "dev", description->disk_target,
                        sizeof(description->disk_target)) ||
        !copy_attribute(child_named(disk, "driver"), "type", description->disk_format,
                        sizeof(description->disk_format)))
        return bad(err, "the root disk's target or format is too long");
    if (!description->disk_target[0])
        return bad(err, "the root disk has no target");
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
        if (!copy_attribute(address, names[i], value, sizeof(value)) || !value[0])
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
    const xmlNode *source = child_named(element, "source");
    const xmlNode *address = child_named(source, "address");
    char value[DRIVER_PATH_MAX];
    if (attribute_is(element, "type", "mdev"))
        return copy_attribute(address, "uuid", value, sizeof(value)) && value[0] ? strdup(value)
                                                                                 : NULL;
    if (attribute_is(element, "type", "vdpa"))
        return copy_attribute(source, "dev", value, sizeof(value)) && value[0] ? strdup(value)
                                                                               : NULL;
    return pci_address(address);
}

static bool device_kind(const xmlNode *element, enum domain_device_kind *ret_kind)
{
    if (is_element(element, "hostdev") && attribute_is(element, "type", "pci"))
        *ret_kind = DOMAIN_DEVICE_PCI;
    else if (is_element(element, "hostdev") && attribute_is(element, "type", "mdev"))
        *ret_kind = DOMAIN_DEVICE_MDEV;
    else if (is_element(element, "interface") &&
             (attribute_is(element, "type", "hostdev") || attribute_is(element, "type", "vdpa")))
        *ret_kind = DOMAIN_DEVICE_INTERFACE;
    else
        return false;
    return true;
}

/* The element as text, without its <alias>, which libvirt gives anew. */
static char *element_xml(xmlDoc *document, xmlNode *element)
{
    xmlNode *alias = child_named(element, "alias");
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
            return bad(err, "more host devices than anybody has");
        struct domain_device *device = &description->devices[description->device_count++];
        device->kind = kind;
        device->id = device_id(element);
        if (!device->id)
            return bad(err, "a host device's <source> names none");
        device->xml = element_xml(document, element);
        if (!device->xml)
            return error_nomem(err);
    }
    return 0;
}

static int read_document(xmlDoc *document, struct domain_description *description,
                         struct error *err)
{
    const xmlNode *root = xmlDocGetRootElement(document);
    if (document->intSubset || document->extSubset)
        return bad(err, "a document type declaration does not belong here");
    if (!is_element(root, "domain"))
        return bad(err, "the root element is not <domain>");
    const xmlNode *devices = child_named(root, "devices");
    if (!devices)
        return bad(err, "there is no <devices>");
    int r = read_disk(devices, description, err);
    return r < 0 ? r : read_devices(document, devices, description, err);
}

int domain_xml_parse(const char *xml, struct domain_description **ret_description,
                     struct error *err)
{
    size_t length = strnlen(xml, DOMAIN_XML_MAX_BYTES + 1);
    if (length > DOMAIN_XML_MAX_BYTES)
        return bad(err, "it is larger than 4 MiB");
    xmlParserCtxt *parser = xmlNewParserCtxt();
    if (!parser)
        return error_nomem(err);
    xmlDoc *document = xmlCtxtReadMemory(parser, xml, (int)length, NULL, NULL,
                                         XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlFreeParserCtxt(parser);
    if (!document)
        return bad(err, "it is not well-formed");
    struct domain_description *description = calloc(1, sizeof(*description));
    int r = description ? read_document(document, description, err) : error_nomem(err);
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
