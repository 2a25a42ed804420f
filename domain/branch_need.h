/* SPDX-License-Identifier: Apache-2.0 */
/* Who needs a file that may go with a branch (branch_plan.h). Pure. On one thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "domain/layer_map.h"

struct branch_view {
    const struct layer_map *map;
    const char *snapshot; /* the own one that is deleted; NULL: none is */
    bool *is_gone;        /* owned: of each file of the map */
};

/* Of a map that does not change while it lasts; nothing is gone. End with branch_need_end(). */
int branch_need_begin(const struct layer_map *map, const char *snapshot,
                      struct branch_view *ret_view, struct error *err);
void branch_need_end(struct branch_view *view);

struct branch_need {
    const struct layer_name *name; /* NULL: nobody by its name; the domain's own come first */
    size_t layer;                  /* LAYER_MAP_NONE: no layer that nobody names, either */
};

struct branch_need branch_need_find(const struct branch_view *view, size_t file);
bool branch_need_is(const struct branch_need *need);

/* EINVAL saying so. */
int branch_need_refuse(const struct branch_view *view, size_t file, const struct branch_need *need,
                       struct error *err);

/* Whether it is what the checkpoint that is deleted names. */
bool branch_need_is_deleted(const struct branch_view *view, const struct layer_name *name);

/* Whether what it names has to stay: not by a checkpoint that was made with the layer, which needs
 * what that stands on. */
bool branch_need_counts(const struct branch_view *view, const struct layer_name *name);

/* The domain's own name of that kind for that very file; NULL. */
const struct layer_name *branch_need_find_own(const struct layer_map *map, size_t file,
                                              enum layer_name_kind kind);

/* That still nobody else needs what goes with the branch: EINVAL naming who does. */
int branch_need_check(const struct layer_map *map, const json_t *branch, struct error *err);

/* The map as it will be when the branch has gone. */
void branch_need_apply(const json_t *branch, struct layer_map *map);
