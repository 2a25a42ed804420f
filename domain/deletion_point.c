/* SPDX-License-Identifier: Apache-2.0 */
/* See deletion_point.h. */
#include "domain/deletion_point.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/same_file.h"
#include "domain/merge_chain.h"
#include "domain/new_layer.h"
#include "driver/definition/domain_description.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain.h"

/* The disk as it was then: its file and format. */
static const xmlNode *disk_of_then(const xmlNode *root, const char *target)
{
    const xmlNode *devices = xml_node_child_named(xml_node_child_named(root, "domain"), "devices");
    for (xmlNode *disk = xml_node_child_named(devices, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk"))
        if (xml_node_attribute_is(xml_node_child_named(disk, "target"), "dev", target))
            return disk;
    return NULL;
}

static int read_files(const xmlNode *root, const xmlNode *element, struct checkpoint_disk *disk,
                      struct error *err)
{
    bool fits = xml_node_copy_attribute(element, "name", disk->target, sizeof(disk->target)) &&
                xml_node_copy_attribute(xml_node_child_named(element, "source"), "file",
                                        disk->overlay, sizeof(disk->overlay));
    const xmlNode *then = fits ? disk_of_then(root, disk->target) : NULL;
    fits = fits && then &&
           xml_node_copy_attribute(xml_node_child_named(then, "source"), "file", disk->base,
                                   sizeof(disk->base)) &&
           xml_node_copy_attribute(xml_node_child_named(then, "driver"), "type", disk->format,
                                   sizeof(disk->format));
    return fits && disk->base[0] == '/' && disk->overlay[0] == '/'
               ? 0
               : error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                           "disk %s: which file keeps the checkpoint cannot be told", disk->target);
}

static size_t find_in_chain(const json_t *chain, const char *path)
{
    const json_t *layer;
    size_t i;
    json_array_foreach (chain, i, layer) {
        if (same_file(merge_chain_path(layer), path))
            return i;
    }
    return SIZE_MAX;
}

static int read_chain(virDomainPtr domain, const struct domain_description *now, const char *target,
                      json_t **ret_chain, struct error *err)
{
    if (domain_description_disk(now, target))
        return merge_chain_read(domain, target, ret_chain, err);
    *ret_chain = json_array();
    return *ret_chain ? 0 : error_nomem(err);
}

/* The domain, and its next start. */
struct definitions {
    struct domain_description *now, *next; /* owned */
};

static int read_definitions(virDomainPtr domain, struct definitions *definitions, struct error *err)
{
    cleanup_free char *next = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    int r = next ? domain_description_parse(next, &definitions->next, err)
                 : libvirt_error(err, "cannot read the definition of the domain's next start");
    return r < 0 ? r : libvirt_domain_describe(domain, &definitions->now, err);
}

static int read_disks(virDomainPtr domain, const struct definitions *definitions,
                      const xmlNode *root, struct deletion_point *point, struct error *err)
{
    const struct domain_description *now = definitions->now, *next = definitions->next;
    int r = 0;
    for (xmlNode *element = xml_node_child_named(xml_node_child_named(root, "disks"), "disk");
         r == 0 && element; element = xml_node_next_named(element->next, "disk")) {
        struct checkpoint_disk *disk = &point->disks[point->disk_count];
        json_t *chain = NULL;
        if (!xml_node_attribute_is(element, "snapshot", "external"))
            continue;
        if (point->disk_count == CHECKPOINT_PLAN_DISKS_MAX)
            return error_set(err, E2BIG, EXC_INTERNAL_ERROR, "it has too many disks");
        r = read_files(root, element, disk, err);
        if (r == 0)
            r = read_chain(domain, now, disk->target, &chain, err);
        if (r < 0)
            return r;
        point->is_detached[point->disk_count] = !domain_description_disk(now, disk->target) &&
                                                !domain_description_disk(next, disk->target);
        point->chains[point->disk_count++] = chain;
        point->in_chain_count += find_in_chain(chain, disk->base) != SIZE_MAX;
    }
    return r;
}

int deletion_point_read(virDomainPtr domain, const xmlNode *root, struct deletion_point *ret_point,
                        struct error *err)
{
    struct definitions definitions = {0};
    /* One more than there may be: the next is read into it. */
    *ret_point = (struct deletion_point){
        .disks = calloc(CHECKPOINT_PLAN_DISKS_MAX + 1, sizeof(struct checkpoint_disk)),
        .chains = calloc(CHECKPOINT_PLAN_DISKS_MAX, sizeof(json_t *)),
        .is_detached = calloc(CHECKPOINT_PLAN_DISKS_MAX, sizeof(bool))};
    if (!ret_point->disks || !ret_point->chains || !ret_point->is_detached)
        return error_nomem(err);
    int r = read_definitions(domain, &definitions, err);
    if (r == 0)
        r = read_disks(domain, &definitions, root, ret_point, err);
    domain_description_free(definitions.now);
    domain_description_free(definitions.next);
    return r;
}

void deletion_point_done(struct deletion_point *point)
{
    for (size_t i = 0; i < point->disk_count; i++)
        json_decref(point->chains[i]);
    free(point->chains);
    free(point->is_detached);
    free(point->disks);
    *point = (struct deletion_point){0};
}

bool deletion_point_is_left_beside(const struct deletion_point *point, size_t place)
{
    const struct checkpoint_disk *disk = &point->disks[place];
    const json_t *chain = point->chains[place];
    size_t base = find_in_chain(chain, disk->base);
    return base != SIZE_MAX && base > 0 &&
           !same_file(merge_chain_path(json_array_get(chain, base - 1)), disk->overlay) &&
           new_layer_is_on(disk->overlay, disk->base);
}

bool deletion_point_is_detached(const struct deletion_point *point, size_t place,
                                const struct layer_map *map)
{
    size_t base = layer_map_find(map, point->disks[place].base);
    if (!point->is_detached[place])
        return false;
    for (size_t i = 0; base != LAYER_MAP_NONE && i < map->name_count; i++) {
        const struct layer_name *name = &map->names[i];
        if (name->is_own && name->kind == LAYER_NAME_DISK &&
            layer_map_reaches(map, name->file, base))
            return false;
    }
    return true;
}

void deletion_point_keep_left_beside(struct deletion_point *point)
{
    size_t count = 0;
    for (size_t i = 0; i < point->disk_count; i++) {
        json_t *chain = point->chains[i];
        if (!deletion_point_is_left_beside(point, i)) {
            json_decref(chain);
            continue;
        }
        point->disks[count] = point->disks[i];
        point->is_detached[count] = point->is_detached[i];
        point->chains[count++] = chain;
    }
    point->disk_count = count;
}
