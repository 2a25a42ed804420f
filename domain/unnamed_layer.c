/* SPDX-License-Identifier: Apache-2.0 */
/* See unnamed_layer.h. */
#include "domain/unnamed_layer.h"

#include <errno.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "domain/new_layer.h"
#include "driver/definition/domain_description.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt/connection.h"

struct layer {
    const char *target, *base, *path;
    bool is_written; /* by a QEMU, now */
};

/* Also by a layer that stands on it. */
static int is_named(virDomainPtr domain, unsigned flags, const struct layer_map *map,
                    const struct layer *layer, bool *ret_is_named, struct error *err)
{
    struct domain_description *description = NULL;
    cleanup_free char *xml = virDomainGetXMLDesc(domain, flags);
    int r = xml ? domain_description_parse(xml, &description, err)
                : libvirt_error(err, "cannot read the domain's definition");
    if (r < 0)
        return r;
    const struct domain_disk *disk = domain_description_disk(description, layer->target);
    size_t file = layer_map_find(map, layer->path);
    size_t top = disk ? layer_map_find(map, disk->layers[0].path) : LAYER_MAP_NONE;
    *ret_is_named =
        file != LAYER_MAP_NONE && top != LAYER_MAP_NONE && layer_map_reaches(map, top, file);
    domain_description_free(description);
    return 0;
}

static int tell(const struct layer *layer, bool is_named_next, struct error *err)
{
    if (is_named_next)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "disk %s: the guest writes to %s, and libvirt takes %s for its disk until "
                         "the guest is stopped and started: nothing is done with it before",
                         layer->target, layer->path, layer->base);
    if (layer->is_written)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "disk %s: the guest writes to %s, and libvirt, which does not know that, "
                         "will start it on %s, without all that was written since: make the first, "
                         "as qcow2, the disk's file with `virsh edit` before the guest stops",
                         layer->target, layer->path, layer->base);
    return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                     "disk %s: %s may hold what a guest wrote since, which %s lacks: make it, as "
                     "qcow2, the disk's file with `virsh edit` before the next start, or remove it "
                     "when nothing is missed",
                     layer->target, layer->path, layer->base);
}

/* What cannot be looked at may hold all that was written since. */
static int is_layer(const struct layer *layer, const json_t *folder, bool *ret_is_on,
                    struct error *err)
{
    enum new_layer_found found;
    int r = new_layer_find(layer->path, folder, &found, err);
    if (r < 0 || found != NEW_LAYER_THERE)
        return r;
    r = new_layer_look(layer->path, layer->base, ret_is_on, err);
    return r < 0 ? error_prepend(err,
                                 "disk %s: whether %s holds what a guest wrote since cannot be "
                                 "told, remove it only when nothing is missed",
                                 layer->target, layer->path)
                 : 0;
}

static int check_layer(virDomainPtr domain, const struct layer_map *map, const json_t *disk,
                       struct error *err)
{
    struct layer layer = {.target = json_string_member(disk, "target"),
                          .base = json_string_member(disk, "base"),
                          .path = json_string_member(disk, "overlay")};
    struct error ignored = ERROR_INIT;
    bool is_on = false, is_empty = false, is_named_next = false, is_named_now = true;
    if (!layer.target || !layer.base || !layer.path)
        return 0;
    int r = is_layer(&layer, json_object_get(disk, "folder"), &is_on, err);
    if (r < 0 || !is_on)
        return r;
    layer.is_written = qemu_img_is_written(layer.path);
    if (!layer.is_written && qemu_img_layer_is_empty(layer.path, &is_empty, &ignored) == 0 &&
        is_empty)
        return 0;
    r = is_named(domain, VIR_DOMAIN_XML_INACTIVE, map, &layer, &is_named_next, err);
    if (r == 0 && layer.is_written)
        r = is_named(domain, 0, map, &layer, &is_named_now, err);
    return r < 0 || (is_named_next && is_named_now) ? r : tell(&layer, is_named_next, err);
}

int unnamed_layer_check(virDomainPtr domain, const struct layer_map *map, const json_t *disks,
                        struct error *err)
{
    struct error all = ERROR_INIT;
    const json_t *disk;
    size_t i;
    json_array_foreach (disks, i, disk) {
        struct error failure = ERROR_INIT;
        if (check_layer(domain, map, disk, &failure) < 0)
            error_join(&all, &failure);
    }
    if (all.errnum != 0)
        *err = all;
    return -all.errnum;
}
