/* SPDX-License-Identifier: Apache-2.0 */
/* See merge_plan.h. */
#include "domain/merge_plan.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/same_file.h"
#include "domain/merge_chain.h"

static size_t find_path(const json_t *chain, const char *path)
{
    size_t i;
    const json_t *layer;
    json_array_foreach (chain, i, layer) {
        if (same_file(merge_chain_path(layer), path))
            return i;
    }
    return SIZE_MAX;
}

static int refuse(struct error *err, const json_t *file, const char *target, const char *why)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "disk %s: %s: %s", target,
                     merge_chain_path(file), why);
}

static int check_file(const json_t *file, const json_t *base, const char *target, struct error *err)
{
    const char *problem = json_string_member(file, "problem");
    const char *format = json_string_member(file, "format");
    if (problem)
        return refuse(err, file, target, problem);
    if (!json_equal(json_object_get(file, "size_bytes"), json_object_get(base, "size_bytes")))
        return refuse(err, file, target, "the disk has been resized since");
    if (file != base && (!format || strcmp(format, "qcow2") != 0))
        return refuse(err, file, target, "it is no qcow2 layer");
    return 0;
}

int merge_plan_disk(const json_t *chain, const struct merge_plan_request *request,
                    json_t **ret_disk, struct error *err)
{
    const char *target = request->target, *format = request->format;
    size_t place = find_path(chain, request->base);
    size_t first = request->all || place == 0 ? 0 : place - 1;
    json_t *into = json_array_get(chain, place), *gone = json_array();
    const char *of_chain = json_string_member(into, "format");
    if (place == SIZE_MAX) {
        json_decref(gone);
        return error_set(
            err, EINVAL, EXC_INTERNAL_ERROR,
            "disk %s does not stand on %s: it goes on from elsewhere; if it is another "
            "disk that has the name now, `virsh snapshot-delete --metadata` has "
            "libvirt forget the checkpoint, and `domain flatten --disk` merges the "
            "layers of the others",
            target, request->base);
    }
    int r = check_file(into, into, target, err);
    if (r == 0 && format && (!of_chain || strcmp(format, of_chain) != 0))
        r = refuse(err, into, target, "it is of another format now");
    if (r == 0 && place > 0 && request->layer &&
        !same_file(merge_chain_path(json_array_get(chain, place - 1)), request->layer))
        r = refuse(err, json_array_get(chain, place - 1), target,
                   "it is not the layer that the checkpoint was made with: libvirt's account of "
                   "the checkpoints and the files differ");
    for (size_t i = first; r == 0 && i < place; i++) {
        r = check_file(json_array_get(chain, i), into, target, err);
        if (json_array_append(gone, json_array_get(chain, i)) < 0)
            r = error_nomem(err);
    }
    if (r == 0 && place > 0)
        *ret_disk = json_pack("{s:s, s:O*, s:O, s:O}", "target", target, "above",
                              first > 0 ? json_array_get(chain, first - 1) : NULL, "gone", gone,
                              "base", into);
    else if (r == 0)
        *ret_disk = NULL;
    json_decref(gone);
    return r < 0 || place == 0 || *ret_disk ? r : error_nomem(err);
}

/* Where the files of a merge are in the map. */
struct places {
    size_t base, above;
    size_t gone[DISK_LAYERS_MAX];
    size_t gone_count;
    bool has_begun;
};

static size_t place_in(const struct layer_map *map, const json_t *file)
{
    return file ? layer_map_find(map, merge_chain_path(file)) : LAYER_MAP_NONE;
}

static bool is_gone(const struct places *places, size_t file)
{
    for (size_t i = 0; i < places->gone_count; i++)
        if (places->gone[i] == file)
            return true;
    return false;
}

/* Whoever is spared loses nothing: what he names goes on to hold what it holds now. */
static bool is_spared(const struct layer_map *map, const struct places *places,
                      const struct layer_name *name, const char *snapshot)
{
    bool is_deleted = snapshot && name->snapshot && strcmp(name->snapshot, snapshot) == 0;
    if (!name->is_own || name->is_internal)
        return false;
    /* The layer that an earlier checkpoint was made with: what was written since that stays. */
    bool is_layer_of_earlier = snapshot && name->kind == LAYER_NAME_OVERLAY;
    bool is_instant = is_deleted && name->kind == LAYER_NAME_STATE;
    if ((is_instant || is_layer_of_earlier) && name->file == places->base)
        return true;
    if (places->has_begun && name->kind == LAYER_NAME_DISK && name->file == places->base)
        return true;
    if (!snapshot && (name->kind != LAYER_NAME_DISK || name->file != places->gone[0]))
        return false;
    if (is_gone(places, name->file))
        return name->file == places->gone[0] &&
               (name->kind == LAYER_NAME_STATE ||
                (is_deleted && name->kind == LAYER_NAME_OVERLAY) ||
                (name->kind == LAYER_NAME_DISK && places->above == LAYER_MAP_NONE));
    return layer_map_reaches(map, name->file, places->gone[0]);
}

static int check_names(const struct layer_map *map, const struct places *places,
                       const char *snapshot, struct error *err)
{
    for (size_t i = 0; i < map->name_count; i++) {
        const struct layer_name *name = &map->names[i];
        if (layer_map_reaches(map, name->file, places->base) &&
            !is_spared(map, places, name, snapshot))
            return layer_map_refuse(map, places->base, name, err);
    }
    return 0;
}

/* A layer that stands beside those that go, or on one of them, is a branch. */
static int check_layers(const struct layer_map *map, const struct places *places, struct error *err)
{
    for (size_t i = 0; i < map->file_count; i++) {
        size_t below = map->files[i].below;
        bool is_on_base = below != LAYER_MAP_NONE && below == places->base;
        bool is_on_gone = below != LAYER_MAP_NONE && is_gone(places, below);
        if ((is_on_base || is_on_gone) && !is_gone(places, i) &&
            !(is_on_gone && i == places->above))
            return layer_map_refuse_layer(map, below, i, err);
    }
    return 0;
}

int merge_plan_look_beside(struct layer_map *map, const json_t *disk, struct error *err)
{
    const json_t *file;
    size_t i;
    int r = layer_map_add_beside(map, merge_chain_path(json_object_get(disk, "base")), err);
    json_array_foreach (json_object_get(disk, "gone"), i, file) {
        if (r == 0)
            r = layer_map_add_beside(map, merge_chain_path(file), err);
    }
    return r;
}

int merge_plan_check_users(const struct layer_map *map, const json_t *disk, const char *snapshot,
                           bool has_begun, struct error *err)
{
    const json_t *file, *gone = json_object_get(disk, "gone");
    struct places places = {.base = place_in(map, json_object_get(disk, "base")),
                            .above = place_in(map, json_object_get(disk, "above")),
                            .has_begun = has_begun};
    bool is_known = places.base != LAYER_MAP_NONE && json_array_size(gone) > 0 &&
                    json_array_size(gone) <= DISK_LAYERS_MAX;
    size_t i;
    json_array_foreach (gone, i, file) {
        if (is_known)
            places.gone[places.gone_count++] = place_in(map, file);
        is_known = is_known && places.gone[i] != LAYER_MAP_NONE;
    }
    for (i = 0; is_known && i < places.gone_count; i++)
        is_known = map->files[places.gone[i]].below ==
                   (i + 1 < places.gone_count ? places.gone[i + 1] : places.base);
    if (!is_known)
        return error_set(
            err, EINVAL, EXC_INTERNAL_ERROR,
            "disk %s is no longer as it was found: who needs its layers cannot be told",
            json_string_member(disk, "target"));
    int r = check_names(map, &places, snapshot, err);
    return r < 0 ? r : check_layers(map, &places, err);
}

static bool is_at(const json_t *disk, const json_t *chain, size_t first, bool host_rebooted)
{
    const json_t *file, *gone = json_object_get(disk, "gone");
    size_t i;
    json_array_foreach (gone, i, file) {
        if (!merge_chain_is_same(json_array_get(chain, first + i), file, host_rebooted))
            return false;
    }
    return merge_chain_is_same(json_array_get(chain, first + i), json_object_get(disk, "base"),
                               host_rebooted);
}

static bool has_any(const json_t *chain, const json_t *files, bool host_rebooted)
{
    const json_t *file;
    size_t i;
    json_array_foreach (files, i, file) {
        if (merge_chain_find(chain, file, host_rebooted) != SIZE_MAX)
            return true;
    }
    return false;
}

enum merge_plan_state merge_plan_state(const json_t *disk, const json_t *chain, bool host_rebooted)
{
    const json_t *above = json_object_get(disk, "above"), *base = json_object_get(disk, "base");
    const json_t *newest = json_array_get(json_object_get(disk, "gone"), 0);
    size_t first = above ? merge_chain_find(chain, above, host_rebooted) : 0;
    if (above && first++ == SIZE_MAX)
        return MERGE_PLAN_OTHER;
    if (merge_chain_is_same(json_array_get(chain, first), base, host_rebooted))
        return MERGE_PLAN_DONE;
    if (is_at(disk, chain, first, host_rebooted))
        return MERGE_PLAN_PENDING;
    if (above)
        return MERGE_PLAN_OTHER;
    size_t below = merge_chain_find(chain, newest, host_rebooted);
    if (below != SIZE_MAX)
        return is_at(disk, chain, below, host_rebooted) ? MERGE_PLAN_BELOW : MERGE_PLAN_OTHER;
    return merge_chain_find(chain, base, host_rebooted) != SIZE_MAX &&
                   !has_any(chain, json_object_get(disk, "gone"), host_rebooted)
               ? MERGE_PLAN_UNDER
               : MERGE_PLAN_OTHER;
}
