/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_description.h. */
#include "driver/definition/domain_description.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "driver/definition/xml_node.h"

#define DEVICES_MAX 256
#define DISKS_MAX 256

static int read_disks(const xmlNode *devices, struct domain_description *description,
                      struct error *err)
{
    description->disks = calloc(DISKS_MAX, sizeof(*description->disks));
    if (!description->disks)
        return error_nomem(err);
    for (const xmlNode *element = xml_node_child_named(devices, "disk"); element;
         element = xml_node_next_named(element->next, "disk")) {
        if (description->disk_count == DISKS_MAX)
            return xml_node_bad_domain(err, "more disks than anybody has");
        int r = domain_disk_read(element, &description->disks[description->disk_count++], err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A PCI address as nova writes it, dddd:bb:ss.f; NULL when it is not one. */
static char *pci_address(const xmlNode *address)
{
    static const char *const names[] = {"domain", "bus", "slot", "function"};
    unsigned long part[ARRAY_SIZE(names)] = {0};
    char *text = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char value[32];
        if (!xml_node_copy_attribute(address, names[i], value, sizeof(value)) || !value[0])
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
    const xmlNode *source = xml_node_child_named(element, "source");
    const xmlNode *address = xml_node_child_named(source, "address");
    char value[DRIVER_PATH_MAX];
    if (xml_node_attribute_is(element, "type", "mdev"))
        return xml_node_copy_attribute(address, "uuid", value, sizeof(value)) && value[0]
                   ? strdup(value)
                   : NULL;
    if (xml_node_attribute_is(element, "type", "vdpa"))
        return xml_node_copy_attribute(source, "dev", value, sizeof(value)) && value[0]
                   ? strdup(value)
                   : NULL;
    return pci_address(address);
}

static bool device_kind(const xmlNode *element, enum domain_device_kind *ret_kind)
{
    if (xml_node_is_element(element, "hostdev") && xml_node_attribute_is(element, "type", "pci"))
        *ret_kind = DOMAIN_DEVICE_PCI;
    else if (xml_node_is_element(element, "hostdev") &&
             xml_node_attribute_is(element, "type", "mdev"))
        *ret_kind = DOMAIN_DEVICE_MDEV;
    else if (xml_node_is_element(element, "interface") &&
             (xml_node_attribute_is(element, "type", "hostdev") ||
              xml_node_attribute_is(element, "type", "vdpa")))
        *ret_kind = DOMAIN_DEVICE_INTERFACE;
    else
        return false;
    return true;
}

/* The element as text, without its <alias>, which libvirt gives anew. */
static char *element_xml(xmlDoc *document, xmlNode *element)
{
    xmlNode *alias = xml_node_child_named(element, "alias");
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
            return xml_node_bad_domain(err, "more host devices than anybody has");
        struct domain_device *device = &description->devices[description->device_count++];
        device->kind = kind;
        device->id = device_id(element);
        if (!device->id)
            return xml_node_bad_domain(err, "a host device's <source> names none");
        device->xml = element_xml(document, element);
        if (!device->xml)
            return error_nomem(err);
    }
    return 0;
}

int domain_description_parse(const char *xml, struct domain_description **ret_description,
                             struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    int r = xml_node_parse_domain(xml, &document, &devices, err);
    if (r < 0)
        return r;
    struct domain_description *description = calloc(1, sizeof(*description));
    r = description ? read_disks(devices, description, err) : error_nomem(err);
    if (r == 0)
        r = read_devices(document, devices, description, err);
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
    for (size_t i = 0; i < description->disk_count; i++)
        domain_disk_done(&description->disks[i]);
    free(description->disks);
    for (size_t i = 0; i < description->device_count; i++) {
        free(description->devices[i].id);
        free(description->devices[i].xml);
    }
    free(description->devices);
    free(description);
}

const struct domain_disk *domain_description_disk(const struct domain_description *description,
                                                  const char *target)
{
    for (size_t i = 0; i < description->disk_count; i++)
        if (strcmp(description->disks[i].target, target) == 0)
            return &description->disks[i];
    return NULL;
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
