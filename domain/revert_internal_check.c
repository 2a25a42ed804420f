/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a domain can go to an internal checkpoint. See revert_int.h. */
/* Names begin with revert_. */
#include <errno.h>
#include <stdio.h>

#include "common/cleanup.h"
#include "domain/checkpoint_check.h"
#include "domain/layer_map.h"
#include "domain/revert_check.h"
#include "domain/revert_definition.h"
#include "domain/revert_int.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt/domain.h"

/* The guest writes to the very files that hold it, now and from its next start on. */
static int check_is_here(const struct session *session, const struct revert_point *point,
                         unsigned flags, struct error *err)
{
    cleanup_free char *xml = virDomainGetXMLDesc(session->domain, flags);
    int r = xml ? 0 : libvirt_error(err, "cannot read the domain's definition");
    for (size_t i = 0; r == 0 && i < point->disk_count; i++) {
        struct checkpoint_disk disk = point->disks[i];
        struct error ignored = ERROR_INIT;
        (void)snprintf(disk.overlay, sizeof(disk.overlay), "%s", disk.base);
        if (revert_definition_check(xml, &disk, 1, false, &ignored) < 0)
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                             "disk %s is not at %s any more, which holds the checkpoint: go back "
                             "to a checkpoint of that file first",
                             disk.target, disk.base);
    }
    return r;
}

/* Whoever stands on the file, or has kept it as it is now, would have another below him. */
static int check_users(const struct layer_map *map, const char *path, struct error *err)
{
    size_t file = layer_map_find(map, path);
    for (size_t i = 0; file != LAYER_MAP_NONE && i < map->name_count; i++) {
        const struct layer_name *name = &map->names[i];
        bool is_ours = name->file == file && name->is_own &&
                       (name->kind != LAYER_NAME_STATE || name->is_internal);
        if (!is_ours && layer_map_reaches(map, name->file, file)) {
            char holder[LAYER_MAP_HOLDER_MAX];
            layer_map_name_holder(name, holder, sizeof(holder));
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                             "%s, which would change, is needed as it is by %s", path, holder);
        }
    }
    return file != LAYER_MAP_NONE && map->files[file].is_there
               ? 0
               : error_set(err, ESTALE, EXC_INTERNAL_ERROR, "%s has gone", path);
}

static int check_files(const struct session *session, const struct revert_point *point,
                       struct error *err)
{
    cleanup_layer_map struct layer_map map = {0};
    int r = layer_map_read(session, &map, err);
    for (size_t i = 0; r == 0 && i < point->disk_count; i++) {
        const struct checkpoint_disk *disk = &point->disks[i];
        size_t count = 0;
        r = check_users(&map, disk->base, err);
        if (r == 0)
            r = qemu_img_count_snapshots(disk->base, point->name, &count, err);
        if (r == 0 && count != 1)
            r = error_set(err, ESTALE, EXC_INTERNAL_ERROR, "%s holds %zu checkpoints %s, not one",
                          disk->base, count, point->name);
    }
    return r;
}

/* Jobs, a memory that libvirt keeps, disks of other kinds. */
static int check_idle(const struct session *session, struct error *err)
{
    const struct checkpoint_request now = {.internal = true};
    struct checkpoint_plan plan = {0};
    int r = checkpoint_plan_read(session, &now, &plan, err);
    if (r == 0)
        r = checkpoint_check_idle(session, &plan, err);
    checkpoint_plan_done(&plan);
    return r;
}

int revert_internal_check(struct session *session, const struct revert_point *point,
                          struct error *err)
{
    int r = revert_check_domain(session, point, err);
    if (r == 0)
        r = check_idle(session, err);
    if (r == 0)
        r = check_is_here(session, point, 0, err);
    if (r == 0)
        r = check_is_here(session, point, VIR_DOMAIN_XML_INACTIVE, err);
    return r < 0 ? r : check_files(session, point, err);
}
