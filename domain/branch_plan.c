/* SPDX-License-Identifier: Apache-2.0 */
/* See branch_plan.h. */
#include "domain/branch_plan.h"

#include <errno.h>
#include <stdbool.h>

#include "common/json.h"
#include "domain/branch_need.h"
#include "domain/branch_relink.h"
#include "domain/layer_age.h"
#include "domain/merge_chain.h"

/* Not an image that somebody has given to the domain, of which nothing else would be left. */
static bool was_made_for_checkpoint(const struct layer_map *map, size_t file)
{
    size_t below = map->files[file].below;
    return below != LAYER_MAP_NONE && branch_need_find_own(map, below, LAYER_NAME_STATE);
}

/* Else a newer layer would hide that what another checkpoint keeps was spoilt. */
static bool can_be_replaced(const struct branch_view *view, size_t file)
{
    const struct layer_map *map = view->map;
    const struct layer_name *made = branch_need_find_own(map, file, LAYER_NAME_OVERLAY);
    return !made || branch_need_is_deleted(view, made) ||
           layer_age_is_unwritten(&map->files[map->files[file].below].st, map->files[file].path);
}

static int add_gone(const struct branch_view *view, size_t file, json_t *gone, struct error *err)
{
    const struct layer_file *layer = &view->map->files[file];
    json_t *look = NULL;
    int r = merge_chain_look(layer->path, layer->format, &look, err);
    view->is_gone[file] = true;
    return r < 0 || json_array_append_new(gone, look) == 0 ? r : error_nomem(err);
}

/* Where the disk's branch begins: at the layer of the checkpoint, or at what that stood on. */
static int find_top(const struct layer_map *map, const struct checkpoint_disk *disk,
                    size_t *ret_file, bool *ret_is_layer, struct error *err)
{
    size_t base = layer_map_find(map, disk->base), layer = layer_map_find(map, disk->overlay);
    bool is_layer =
        layer != LAYER_MAP_NONE && map->files[layer].is_there && !map->files[layer].is_going;
    if (base == LAYER_MAP_NONE || !map->files[base].is_there)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "%s, which keeps the checkpoint, has gone: `virsh snapshot-delete "
                         "--metadata` has libvirt forget it",
                         disk->base);
    if (is_layer && map->files[layer].below != base)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "%s does not stand on %s, as it did when the checkpoint was made",
                         disk->overlay, disk->base);
    *ret_is_layer = is_layer;
    *ret_file = is_layer ? layer : base;
    return 0;
}

/* The layer itself goes, or else nothing does. */
static bool stays(const struct branch_view *view, size_t file, const struct branch_need *need)
{
    if (branch_need_is(need))
        return need->name && need->name->is_own;
    return !was_made_for_checkpoint(view->map, file) || !can_be_replaced(view, file);
}

/* From the top on down; *ret_base: where it ends. */
static int collect(const struct branch_view *view, const struct checkpoint_disk *disk, json_t *gone,
                   size_t *ret_base, struct error *err)
{
    size_t file = LAYER_MAP_NONE;
    bool is_layer = false;
    int r = find_top(view->map, disk, &file, &is_layer, err);
    while (r == 0) {
        struct branch_need need = branch_need_find(view, file);
        if (!is_layer && stays(view, file, &need))
            break;
        r = branch_need_is(&need) ? branch_need_refuse(view, file, &need, err)
                                  : add_gone(view, file, gone, err);
        file = view->map->files[file].below;
        is_layer = false;
    }
    *ret_base = file;
    return r < 0 ? error_prepend(err, "disk %s", disk->target) : 0;
}

static int plan_disk(const struct branch_view *view, const struct checkpoint_disk *disk,
                     json_t *disks, struct error *err)
{
    json_t *gone = json_array();
    size_t base = LAYER_MAP_NONE;
    int r = gone ? collect(view, disk, gone, &base, err) : error_nomem(err);
    if (r == 0 && json_array_append_new(disks, json_pack("{s:s, s:O, s:{s:s}}", "target",
                                                         disk->target, "gone", gone, "base", "path",
                                                         view->map->files[base].path)) < 0)
        r = error_nomem(err);
    json_decref(gone);
    return r;
}

int branch_plan(const struct layer_map *map, const struct branch_plan_request *request,
                json_t **ret_branch, struct error *err)
{
    struct branch_view view;
    json_t *disks = json_array(), *relinks = NULL;
    int r = branch_need_begin(map, request->snapshot, &view, err);
    for (size_t i = 0; r == 0 && i < request->disk_count; i++)
        r = plan_disk(&view, &request->disks[i], disks, err);
    if (r == 0)
        r = branch_relink_plan(&view, request->stamp, &relinks, err);
    if (r == 0)
        *ret_branch = json_pack("{s:b, s:s*, s:O, s:O}", "branch", true, "snapshot",
                                request->snapshot, "disks", disks, "relink", relinks);
    branch_need_end(&view);
    json_decref(disks);
    json_decref(relinks);
    return r < 0 || *ret_branch ? r : error_nomem(err);
}

/* What was found in the map before is at its place in it still. */
static int look_down(struct layer_map *map, const char *path, struct error *err)
{
    size_t file = layer_map_find(map, path);
    int r = 0;
    for (size_t depth = 0; r == 0 && file != LAYER_MAP_NONE && depth < DISK_LAYERS_MAX; depth++) {
        if (map->files[file].is_there)
            r = layer_map_add_beside(map, map->files[file].path, err);
        file = was_made_for_checkpoint(map, file) ? map->files[file].below : LAYER_MAP_NONE;
    }
    return r;
}

int branch_plan_look_beside(struct layer_map *map, const struct branch_plan_request *request,
                            struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < request->disk_count; i++) {
        const struct checkpoint_disk *disk = &request->disks[i];
        r = look_down(map, disk->overlay, err);
        if (r == 0)
            r = look_down(map, disk->base, err);
    }
    return r;
}
