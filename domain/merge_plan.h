/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which layers of a disk go into which: pure but for looks at files. On one thread.
 *
 * A merge of one disk is {target, above, gone, base}: the layers `gone`, from the topmost on down,
 * go into `base`, which they stand on; `above` stands on them, or is missing: the guest writes to
 * the first of them. All are files of merge_chain.h. A merge is {snapshot: the checkpoint that is
 * deleted by it, memory: its file, disks, left: [{target, base, layer}], disks of the checkpoint
 * that were detached for good, of which nothing is merged}, with disks alone where nothing but
 * layers goes.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/layer_map.h"

/* What was written since `base` kept an instant, into it. Borrowed. */
struct merge_plan_request {
    const char *target;
    const char *base;   /* its path */
    const char *format; /* of base as it was then; NULL: not known */
    bool all;           /* every layer above; else the one that stands on it */
    const char *layer;  /* the one that was put on base then; NULL: whichever it is */
};

/*
 * The merge of that disk, whose layers are `chain`. *ret_disk NULL: nothing stands on base. EINVAL
 * naming the file when base is not in the chain, another layer stands on it, or a layer takes no
 * part in merges. Returned owned.
 */
int merge_plan_disk(const json_t *chain, const struct merge_plan_request *request,
                    json_t **ret_disk, struct error *err);

/* Into the map also what stands beside the files of the merge, and nobody names: also a layer. */
int merge_plan_look_beside(struct layer_map *map, const json_t *disk, struct error *err);

/*
 * That nobody needs `base` as it is, nor what goes: EINVAL naming the checkpoint or the domain that
 * does. `snapshot` is the checkpoint that is deleted; NULL: none is, and none may name them. With
 * `has_begun` the domain's own definition may name base already.
 */
int merge_plan_check_users(const struct layer_map *map, const json_t *disk, const char *snapshot,
                           bool has_begun, struct error *err);

enum merge_plan_state {
    MERGE_PLAN_PENDING, /* the layers are as they were planned */
    MERGE_PLAN_DONE,    /* they have gone out of the chain, into base */
    MERGE_PLAN_BELOW,   /* they are as they were planned, below others that came since */
    MERGE_PLAN_UNDER,   /* they have gone out of it, and base is below others that came since */
    MERGE_PLAN_OTHER,   /* somebody has changed the chain */
};

enum merge_plan_state merge_plan_state(const json_t *disk, const json_t *chain, bool host_rebooted);
