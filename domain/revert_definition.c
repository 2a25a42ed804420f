/* SPDX-License-Identifier: Apache-2.0 */
/* See revert_definition.h. */
#include "domain/revert_definition.h"

#include <errno.h>
#include <string.h>

#include "common/secret.h"
#include "driver/definition/domain_description.h"
#include "driver/definition/xml_node.h"

static xmlNode *find_disk(const xmlNode *devices, const char *target)
{
    xmlNode *disk = xml_node_child_named(devices, "disk");
    while (disk && !xml_node_attribute_is(xml_node_child_named(disk, "target"), "dev", target))
        disk = xml_node_next_named(disk->next, "disk");
    return disk;
}

/* Labels are of the file or of the domain, and libvirt's; all else is about the file of then. */
static bool is_plain(const xmlNode *source)
{
    for (const xmlNode *node = source->children; node; node = node->next)
        if (node->type == XML_ELEMENT_NODE && !xml_node_is_element(node, "seclabel"))
            return false;
    return true;
}

static int switch_disk(xmlNode *devices, const struct checkpoint_disk *disk, bool is_at_base,
                       struct error *err)
{
    xmlNode *node = find_disk(devices, disk->target);
    xmlNode *source = xml_node_child_named(node, "source");
    xmlNode *driver = xml_node_child_named(node, "driver");
    char file[DRIVER_PATH_MAX];
    bool is_read = xml_node_copy_attribute(source, "file", file, sizeof(file));
    if (!is_read || file[0] != '/' || (is_at_base && strcmp(file, disk->base) != 0))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "the definition has disk %s at %s, not at %s", disk->target, file,
                         disk->base);
    if (!driver || !xml_node_attribute_is(node, "type", "file") || !is_plain(source))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "the definition has disk %s not as a plain file", disk->target);
    (void)xmlSetProp(source, (const xmlChar *)"file", (const xmlChar *)disk->overlay);
    (void)xmlUnsetProp(source, (const xmlChar *)"index");
    (void)xmlSetProp(driver, (const xmlChar *)"type", (const xmlChar *)"qcow2");
    for (xmlNode *store; (store = xml_node_child_named(node, "backingStore"));) {
        xmlUnlinkNode(store); /* an empty one would have QEMU take the layer for the whole disk */
        xmlFreeNode(store);
    }
    return 0;
}

int revert_definition_switch(const char *xml, const struct checkpoint_disk *disks,
                             size_t disk_count, bool is_at_base, char **ret_xml, struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    xmlChar *text = NULL;
    int size = 0;
    int r = xml_node_parse_domain(xml, &document, &devices, err);
    for (size_t i = 0; r == 0 && i < disk_count; i++)
        r = switch_disk(devices, &disks[i], is_at_base, err);
    if (r < 0)
        return r;
    xmlDocDumpMemory(document, &text, &size);
    char *copy = text ? strdup((const char *)text) : NULL;
    xmlFree(text);
    if (!copy)
        return error_nomem(err);
    *ret_xml = copy;
    return 0;
}

int revert_definition_check(const char *xml, const struct checkpoint_disk *disks, size_t disk_count,
                            bool with_base, struct error *err)
{
    struct domain_description *description = NULL;
    int r = domain_description_parse(xml, &description, err);
    for (size_t i = 0; r == 0 && i < disk_count; i++) {
        const struct domain_disk *disk = domain_description_disk(description, disks[i].target);
        bool is_there = disk && strcmp(disk->layers[0].path, disks[i].overlay) == 0 &&
                        (!with_base || (disk->layer_count > 1 &&
                                        strcmp(disk->layers[1].path, disks[i].base) == 0));
        if (!is_there)
            r = error_set(err, EINVAL, EXC_INTERNAL_ERROR, "disk %s is not at %s, on %s",
                          disks[i].target, disks[i].overlay, disks[i].base);
    }
    domain_description_free(description);
    return r;
}
