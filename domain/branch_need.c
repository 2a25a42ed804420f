/* SPDX-License-Identifier: Apache-2.0 */
/* See branch_need.h. */
#include "domain/branch_need.h"

#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "domain/merge_chain.h"

static bool is_of(const struct layer_name *name, const char *snapshot)
{
    return name->is_own && snapshot && name->snapshot && strcmp(name->snapshot, snapshot) == 0;
}

int branch_need_begin(const struct layer_map *map, const char *snapshot,
                      struct branch_view *ret_view, struct error *err)
{
    *ret_view = (struct branch_view){map, snapshot, calloc(map->file_count + 1, sizeof(bool))};
    return ret_view->is_gone ? 0 : error_nomem(err);
}

void branch_need_end(struct branch_view *view)
{
    free(view->is_gone);
    view->is_gone = NULL;
}

bool branch_need_is_deleted(const struct branch_view *view, const struct layer_name *name)
{
    return is_of(name, view->snapshot);
}

bool branch_need_counts(const struct branch_view *view, const struct layer_name *name)
{
    return !is_of(name, view->snapshot) && !(name->is_own && name->kind == LAYER_NAME_OVERLAY);
}

struct branch_need branch_need_find(const struct branch_view *view, size_t file)
{
    const struct layer_map *map = view->map;
    struct branch_need need = {NULL, LAYER_MAP_NONE};
    for (size_t i = 0; i < map->name_count; i++) {
        const struct layer_name *name = &map->names[i];
        if (!branch_need_counts(view, name) || !layer_map_reaches(map, name->file, file))
            continue;
        if (!need.name || name->is_own)
            need.name = name;
        if (name->is_own)
            return need;
    }
    for (size_t i = 0; i < map->file_count; i++)
        if (map->files[i].below == file && !view->is_gone[i])
            need.layer = i;
    return need;
}

bool branch_need_is(const struct branch_need *need)
{
    return need->name || need->layer != LAYER_MAP_NONE;
}

int branch_need_refuse(const struct branch_view *view, size_t file, const struct branch_need *need,
                       struct error *err)
{
    return need->name ? layer_map_refuse(view->map, file, need->name, err)
                      : layer_map_refuse_layer(view->map, file, need->layer, err);
}

const struct layer_name *branch_need_find_own(const struct layer_map *map, size_t file,
                                              enum layer_name_kind kind)
{
    for (size_t i = 0; i < map->name_count; i++)
        if (map->names[i].is_own && map->names[i].file == file && map->names[i].kind == kind)
            return &map->names[i];
    return NULL;
}

/* Those that are there still. */
static void mark_gone(const struct layer_map *map, const json_t *branch, bool *is_gone)
{
    const json_t *disk, *file;
    size_t i, j;
    json_array_foreach (json_object_get(branch, "disks"), i, disk) {
        json_array_foreach (json_object_get(disk, "gone"), j, file) {
            size_t place = layer_map_find(map, merge_chain_path(file));
            if (place != LAYER_MAP_NONE)
                is_gone[place] = true;
        }
    }
}

int branch_need_check(const struct layer_map *map, const json_t *branch, struct error *err)
{
    struct branch_view view;
    int r = branch_need_begin(map, json_string_member(branch, "snapshot"), &view, err);
    if (r == 0)
        mark_gone(map, branch, view.is_gone);
    for (size_t i = 0; r == 0 && i < map->file_count; i++) {
        struct branch_need need = {NULL, LAYER_MAP_NONE};
        if (view.is_gone[i])
            need = branch_need_find(&view, i);
        if (branch_need_is(&need))
            r = branch_need_refuse(&view, i, &need, err);
    }
    branch_need_end(&view);
    return r;
}

static void drop_name(struct layer_map *map, size_t place)
{
    free(map->names[place].domain);
    free(map->names[place].snapshot);
    map->names[place] = map->names[--map->name_count];
}

/* A checkpoint whose layer goes is one with another, above of what it needs. */
void branch_need_apply(const json_t *branch, struct layer_map *map)
{
    const json_t *disk, *file;
    size_t i, j;
    for (i = map->name_count; i-- > 0;)
        if (is_of(&map->names[i], json_string_member(branch, "snapshot")))
            drop_name(map, i);
    json_array_foreach (json_object_get(branch, "disks"), i, disk) {
        json_array_foreach (json_object_get(disk, "gone"), j, file) {
            size_t place = layer_map_find(map, merge_chain_path(file));
            if (place == LAYER_MAP_NONE)
                continue;
            map->files[place].below = LAYER_MAP_NONE;
            map->files[place].is_going = true;
        }
    }
}
