/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots and bitmaps as libvirt's XML tells of them. See checkpoint_list.h. */
/* Names begin with checkpoint_list_. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/json.h"
#include "domain/bitmap_checkpoint.h"
#include "domain/checkpoint_list.h"
#include "driver/definition/domain_disk.h"
#include "driver/definition/xml_node.h"

#define LAYERS_MAX 33 /* of as many disks as images are made of, and memory */

/* What both have. */
static int read_head(const xmlNode *root, struct checkpoint *checkpoint, struct error *err)
{
    char created[32];
    bool fits =
        xml_node_copy_child_text(root, "name", checkpoint->name, sizeof(checkpoint->name)) &&
        xml_node_copy_child_text(xml_node_child_named(root, "parent"), "name", checkpoint->parent,
                                 sizeof(checkpoint->parent)) &&
        xml_node_copy_child_text(root, "creationTime", created, sizeof(created));
    if (!fits || checkpoint->name[0] == '\0')
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "libvirt tells of a checkpoint without a name, or with one too long");
    checkpoint->created_s = strtoll(created, NULL, 10);
    checkpoint->layers = calloc(LAYERS_MAX, sizeof(*checkpoint->layers));
    return checkpoint->layers ? 0 : error_nomem(err);
}

static void add_layer(struct checkpoint *checkpoint, const char *target, const char *path)
{
    struct stat st;
    if (checkpoint->layer_count == LAYERS_MAX || path[0] == '\0')
        return;
    struct checkpoint_layer *layer = &checkpoint->layers[checkpoint->layer_count++];
    (void)snprintf(layer->target, sizeof(layer->target), "%s", target);
    (void)snprintf(layer->path, sizeof(layer->path), "%s", path);
    layer->is_there = stat(path, &st) == 0;
    layer->size_on_disk_bytes = layer->is_there ? (uint64_t)st.st_blocks * 512 : 0;
}

/* What the disk was then, by the definition of then: the layer that keeps the instant. */
static void add_disk(const xmlNode *root, const char *target, struct checkpoint *checkpoint)
{
    xmlNode *devices = xml_node_child_named(xml_node_child_named(root, "domain"), "devices");
    char path[DRIVER_PATH_MAX];
    for (xmlNode *disk = xml_node_child_named(devices, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk")) {
        const xmlNode *source = xml_node_child_named(disk, "source");
        if (!xml_node_attribute_is(xml_node_child_named(disk, "target"), "dev", target))
            continue;
        if (!xml_node_copy_attribute(source, "file", path, sizeof(path)) || path[0] == '\0')
            (void)xml_node_copy_attribute(source, "dev", path, sizeof(path));
        add_layer(checkpoint, target, path);
    }
}

static void read_disks(const xmlNode *root, struct checkpoint *checkpoint)
{
    xmlNode *disks = xml_node_child_named(root, "disks");
    char target[DRIVER_FORMAT_MAX];
    for (xmlNode *disk = xml_node_child_named(disks, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk")) {
        if (xml_node_attribute_is(disk, "snapshot", "no") ||
            !xml_node_copy_attribute(disk, "name", target, sizeof(target)))
            continue;
        if (xml_node_attribute_is(disk, "snapshot", "external"))
            checkpoint->kind = CHECKPOINT_EXTERNAL;
        add_disk(root, target, checkpoint);
    }
}

int checkpoint_list_parse_snapshot(const char *xml, struct checkpoint *ret_checkpoint,
                                   struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    char memory[DRIVER_PATH_MAX], state[32], description[sizeof(CHECKPOINT_FROZEN)];
    *ret_checkpoint = (struct checkpoint){.kind = CHECKPOINT_INTERNAL};
    int r = xml_node_parse(xml, "domainsnapshot", &document, err);
    if (r < 0)
        return r;
    const xmlNode *root = xmlDocGetRootElement(document);
    const xmlNode *saved = xml_node_child_named(root, "memory");
    r = read_head(root, ret_checkpoint, err);
    if (r < 0)
        return r;
    read_disks(root, ret_checkpoint);
    ret_checkpoint->has_memory = saved && !xml_node_attribute_is(saved, "snapshot", "no");
    if (xml_node_copy_attribute(saved, "file", memory, sizeof(memory)))
        add_layer(ret_checkpoint, "memory", memory);
    ret_checkpoint->is_at_rest = xml_node_copy_child_text(root, "state", state, sizeof(state)) &&
                                 strcmp(state, "shutoff") == 0;
    ret_checkpoint->is_frozen =
        xml_node_copy_child_text(root, "description", description, sizeof(description)) &&
        strcmp(description, CHECKPOINT_FROZEN) == 0;
    return 0;
}

int checkpoint_list_parse_bitmap(const char *xml, struct checkpoint *ret_checkpoint,
                                 struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    const char *target;
    json_t *image;
    *ret_checkpoint = (struct checkpoint){.kind = CHECKPOINT_BITMAP};
    int r = xml_node_parse(xml, "domaincheckpoint", &document, err);
    if (r == 0)
        r = read_head(xmlDocGetRootElement(document), ret_checkpoint, err);
    if (r < 0)
        return r;
    json_t *description = bitmap_checkpoint_description(xml);
    json_object_foreach (json_object_get(description, "images"), target, image) {
        const char *path = json_string_member(image, "path");
        add_layer(ret_checkpoint, target, path ? path : "");
    }
    json_decref(description);
    return 0;
}

static int add_present(const xmlNode *element, struct checkpoint *present, struct error *err)
{
    struct domain_disk disk = {0};
    int r = domain_disk_read(element, &disk, err);
    if (r == 0 && disk.is_hard_disk && disk.layers[0].path[0] == '/' &&
        !xml_node_child_named(element, "readonly"))
        add_layer(present, disk.target, disk.layers[0].path);
    domain_disk_done(&disk);
    return r;
}

int checkpoint_list_parse_present(const char *domain_xml, struct checkpoint *ret_present,
                                  struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    int r = xml_node_parse_domain(domain_xml, &document, &devices, err);
    if (r < 0)
        return r;
    *ret_present = (struct checkpoint){
        .kind = CHECKPOINT_PRESENT, .layers = calloc(LAYERS_MAX, sizeof(struct checkpoint_layer))};
    r = ret_present->layers ? 0 : error_nomem(err);
    for (xmlNode *disk = xml_node_child_named(devices, "disk"); r == 0 && disk;
         disk = xml_node_next_named(disk->next, "disk"))
        r = add_present(disk, ret_present, err);
    return r;
}
