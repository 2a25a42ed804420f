/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_disk.h. */
#include "driver/definition/domain_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "driver/definition/xml_node.h"

/* An attribute of a <source> after a prefix, returned owned. NULL when out of memory. */
static char *source_text(const xmlNode *source, const char *prefix, const char *attribute)
{
    char *text = NULL;
    xmlChar *value = source ? xmlGetNoNsProp(source, (const xmlChar *)attribute) : NULL;
    bool is_there = value && value[0];
    int n = asprintf(&text, "%s%s", is_there ? prefix : "", is_there ? (const char *)value : "");
    xmlFree(value);
    return n < 0 ? NULL : text;
}

/* nova.virt.libvirt.utils.find_disk: file, dev or dir, whichever is there, else an RBD image. */
static char *source_path(const xmlNode *node)
{
    static const char *const names[] = {"file", "dev", "dir"};
    const xmlNode *source = xml_node_child_named(node, "source");
    if (xml_node_attribute_is(node, "type", "mount"))
        return strdup("");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char *path = source_text(source, "", names[i]);
        if (!path || path[0])
            return path;
        free(path);
    }
    return xml_node_attribute_is(source, "protocol", "rbd") ? source_text(source, "rbd:", "name")
                                                            : strdup("");
}

/* `node` is the <disk> or a <backingStore>, `format` its element with a type. */
static int add_layer(const xmlNode *node, const xmlNode *format, struct domain_disk *disk,
                     struct error *err)
{
    struct disk_layer *layer = &disk->layers[disk->layer_count];
    const xmlNode *source = xml_node_child_named(node, "source");
    layer->path = source_path(node);
    if (!layer->path)
        return error_nomem(err);
    disk->layer_count++;
    if (strlen(layer->path) >= DRIVER_PATH_MAX)
        disk->problem = "a path is too long";
    if (!xml_node_copy_attribute(format, "type", layer->format, sizeof(layer->format)))
        disk->problem = "a format is too long";
    if (xml_node_child_named(source, "slices"))
        disk->problem = "it is only a part of its file";
    layer->encrypted =
        xml_node_child_named(node, "encryption") || xml_node_child_named(source, "encryption");
    return 0;
}

/* <backingStore/> without a type ends the chain. */
static int read_layers(const xmlNode *element, struct domain_disk *disk, struct error *err)
{
    disk->layers = calloc(DISK_LAYERS_MAX, sizeof(*disk->layers));
    int r = disk->layers ? add_layer(element, xml_node_child_named(element, "driver"), disk, err)
                         : error_nomem(err);
    const xmlNode *store = xml_node_child_named(element, "backingStore");
    while (r == 0 && store && xmlHasProp(store, (const xmlChar *)"type")) {
        if (disk->layer_count == DISK_LAYERS_MAX) {
            disk->problem = "it has too many layers";
            break;
        }
        r = add_layer(store, xml_node_child_named(store, "format"), disk, err);
        store = xml_node_child_named(store, "backingStore");
    }
    disk->chain_known = store != NULL;
    return r;
}

int domain_disk_read(const xmlNode *element, struct domain_disk *ret_disk, struct error *err)
{
    const xmlNode *mirror = xml_node_child_named(element, "mirror");
    *ret_disk =
        (struct domain_disk){.is_hard_disk = !xml_node_attribute_is(element, "device", "cdrom") &&
                                             !xml_node_attribute_is(element, "device", "floppy"),
                             .has_mirror = mirror != NULL};
    ret_disk->mirror_path = source_path(mirror);
    if (!ret_disk->mirror_path)
        return error_nomem(err);
    int r = read_layers(element, ret_disk, err);
    if (r < 0)
        return r;
    if (!xml_node_copy_attribute(xml_node_child_named(element, "target"), "dev", ret_disk->target,
                                 sizeof(ret_disk->target)))
        ret_disk->problem = "its target is too long";
    else if (!ret_disk->target[0])
        ret_disk->problem = "it has no target";
    if (ret_disk->problem)
        log_debug("disk %s cannot be used: %s", ret_disk->target, ret_disk->problem);
    return 0;
}

void domain_disk_done(struct domain_disk *disk)
{
    for (size_t i = 0; i < disk->layer_count; i++)
        free(disk->layers[i].path);
    free(disk->layers);
    free(disk->mirror_path);
}
