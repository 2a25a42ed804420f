/* SPDX-License-Identifier: Apache-2.0 */
/* See merge_give_up.h. */
#include "domain/merge_give_up.h"

#include <errno.h>

#include "common/json.h"
#include "common/log.h"
#include "domain/merge_progress.h"

/* Returned owned; NULL without memory. */
static json_t *merge_without(json_t *merge, const json_t *disk)
{
    size_t i;
    json_t *other, *rest = json_copy(merge), *disks = json_array();
    bool is_done = json_object_set_new(rest, "disks", disks) == 0;
    json_array_foreach (json_object_get(merge, "disks"), i, other) {
        if (is_done && !json_equal(other, disk))
            is_done = json_array_append(disks, other) == 0;
    }
    if (is_done)
        return rest;
    json_decref(rest);
    return NULL;
}

int merge_give_up(struct record *record, const json_t *disk, const char *why, struct error *err)
{
    json_t *merge = json_array_get(record_all(record, "merge"), 0);
    json_t *domain = record_all(record, "domain");
    int r;
    if (!merge_progress_has_another(record, disk)) {
        r = record_restart(record, json_pack("{s:O*}", "domain", domain), err);
        return r < 0 ? r : error_set(err, ESTALE, EXC_INTERNAL_ERROR, "%s", why);
    }
    r = record_restart(record,
                       json_pack("{s:O*, s:[o], s:O}", "domain", domain, "merge",
                                 merge_without(merge, disk), "merging",
                                 record_all(record, "merging")),
                       err);
    if (r == 0)
        log_warning("%s; the other disks are merged", why);
    return r;
}
