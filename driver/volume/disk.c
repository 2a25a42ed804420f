/* SPDX-License-Identifier: Apache-2.0 */
/* See disk.h. */
#include "driver/volume/disk.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "driver/definition/xml_node.h"

#define DISKS_MAX 1024

static bool has_serial(const xmlNode *disk, const char *serial)
{
    const xmlNode *node = xml_node_child_named(disk, "serial");
    xmlChar *text = node ? xmlNodeGetContent(node) : NULL;
    bool equal = text && text[0] && strcmp((const char *)text, serial) == 0;
    xmlFree(text);
    return equal;
}

static int add_other(struct volume_disk *volume, const xmlNode *disk, struct error *err)
{
    char target[DRIVER_FORMAT_MAX];
    if (!xml_node_copy_attribute(xml_node_child_named(disk, "target"), "dev", target,
                                 sizeof(target)))
        return xml_node_bad_domain(err, "a disk's target is too long");
    if (!target[0])
        return 0;
    if (volume->other_count == DISKS_MAX)
        return xml_node_bad_domain(err, "more disks than anybody has");
    volume->other_targets[volume->other_count] = strdup(target);
    if (!volume->other_targets[volume->other_count])
        return error_nomem(err);
    volume->other_count++;
    return 0;
}

int volume_disk_add_layer(struct volume_disk *disk, const char *path, const char *format, int index,
                          struct error *err)
{
    if (disk->layer_count == VOLUME_LAYERS_MAX)
        return error_set(err, E2BIG, EXC_INTERNAL_ERROR, "disk %s has more than %d layers",
                         disk->target, VOLUME_LAYERS_MAX);
    struct volume_layer *layer = &disk->layers[disk->layer_count];
    layer->path = strdup(path);
    if (!layer->path)
        return error_nomem(err);
    (void)snprintf(layer->format, sizeof(layer->format), "%s", format);
    layer->index = index;
    disk->layer_count++;
    return 0;
}

/* libvirt writes the index into <backingStore>, for the first layer into <source>. */
static int read_index(const xmlNode *node)
{
    char text[16], *end;
    if (!xml_node_copy_attribute(node, "index", text, sizeof(text)) || !text[0])
        return -1;
    errno = 0;
    long index = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' && index >= 0 && index <= INT_MAX ? (int)index : -1;
}

/* One layer: `node` is the <disk> or a <backingStore>, `format` its element with a type. */
static int read_layer(const xmlNode *node, const xmlNode *format, struct volume_disk *volume,
                      struct error *err)
{
    char path[DRIVER_PATH_MAX] = "", type[DRIVER_FORMAT_MAX];
    const xmlNode *source = xml_node_child_named(node, "source");
    if (!xml_node_copy_attribute(format, "type", type, sizeof(type)))
        return xml_node_bad_domain(err, "a volume's format is too long");
    if (xml_node_attribute_is(node, "type", "file") &&
        !xml_node_copy_attribute(source, "file", path, sizeof(path)))
        return xml_node_bad_domain(err, "a volume's path is too long");
    if (path[0] && path[0] != '/')
        return xml_node_bad_domain(err, "a volume's path is not absolute");
    int index = read_index(node);
    return volume_disk_add_layer(volume, path, type, index >= 0 ? index : read_index(source), err);
}

static int read_volume(const xmlNode *disk, struct volume_disk *volume, struct error *err)
{
    if (volume->layer_count > 0)
        return xml_node_bad_domain(err, "more than one disk is this volume");
    if (!xml_node_copy_attribute(xml_node_child_named(disk, "target"), "dev", volume->target,
                                 sizeof(volume->target)) ||
        !volume->target[0])
        return xml_node_bad_domain(err, "the volume's target is too long or missing");
    int r = read_layer(disk, xml_node_child_named(disk, "driver"), volume, err);
    const xmlNode *store = xml_node_child_named(disk, "backingStore");
    for (; r == 0 && store && xmlHasProp(store, (const xmlChar *)"type");
         store = xml_node_child_named(store, "backingStore"))
        r = read_layer(store, xml_node_child_named(store, "format"), volume, err);
    volume->chain_known = store != NULL; /* an empty one ends the chain */
    return r;
}

static int read_disks(const xmlNode *devices, const char *volume_id, struct volume_disk *volume,
                      struct error *err)
{
    for (xmlNode *disk = xml_node_child_named(devices, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk")) {
        int r = has_serial(disk, volume_id) ? read_volume(disk, volume, err)
                                            : add_other(volume, disk, err);
        if (r < 0)
            return r;
    }
    if (volume->layer_count == 0)
        return error_set(err, ENOENT, EXC_INTERNAL_ERROR,
                         "Disk with id '%.64s' not found attached to instance.", volume_id);
    return 0;
}

int volume_disk_parse(const char *xml, const char *volume_id, struct volume_disk **ret_disk,
                      struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    int r = xml_node_parse_domain(xml, &document, &devices, err);
    if (r < 0)
        return r;
    struct volume_disk *disk = calloc(1, sizeof(*disk));
    if (disk) {
        disk->layers = calloc(VOLUME_LAYERS_MAX, sizeof(*disk->layers));
        disk->other_targets = calloc(DISKS_MAX, sizeof(*disk->other_targets));
    }
    r = disk && disk->layers && disk->other_targets ? read_disks(devices, volume_id, disk, err)
                                                    : error_nomem(err);
    if (r < 0) {
        volume_disk_free(disk);
        return r;
    }
    *ret_disk = disk;
    return 0;
}

void volume_disk_drop_chain(struct volume_disk *disk)
{
    while (disk->layer_count > 1)
        free(disk->layers[--disk->layer_count].path);
    disk->chain_known = false;
}

void volume_disk_free(struct volume_disk *disk)
{
    if (!disk)
        return;
    for (size_t i = 0; i < disk->layer_count; i++)
        free(disk->layers[i].path);
    for (size_t i = 0; i < disk->other_count; i++)
        free(disk->other_targets[i]);
    free(disk->layers);
    free(disk->other_targets);
    free(disk);
}
