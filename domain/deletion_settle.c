/* SPDX-License-Identifier: Apache-2.0 */
/* See deletion_settle.h. */
#include "domain/deletion_settle.h"

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/branch_settle.h"
#include "domain/internal_delete.h"
#include "domain/merge_settle.h"

static const struct {
    const char *note;
    bool (*has_begun)(const struct session *session);
    int (*run)(struct session *session, struct error *err);
} WAYS[] = {
    {"merge", merge_settle_has_begun, merge_settle_run},
    {"branch", branch_settle_has_begun, branch_settle_run},
    {"delete", internal_delete_has_begun, internal_delete_run},
};

/* Nothing knows of them any more when the checkpoint has gone. */
static void tell_left(const struct session *session)
{
    const json_t *disk, *merge = json_array_get(record_all(session->record, "merge"), 0);
    size_t i;
    json_array_foreach (json_object_get(merge, "left"), i, disk)
        log_warning("disk %s is the domain's no more: %s, which keeps checkpoint %s of it, and %s, "
                    "which was put on it then, stay as they are",
                    json_string_member(disk, "target"), json_string_member(disk, "base"),
                    json_string_member(merge, "snapshot"), json_string_member(disk, "layer"));
}

int deletion_settle_run(struct session *session, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(WAYS); i++) {
        if (record_all(session->record, WAYS[i].note))
            r = WAYS[i].run(session, err);
    }
    if (r == 0)
        tell_left(session);
    return r;
}

bool deletion_settle_has_begun(const struct session *session)
{
    bool has_begun = false;
    for (size_t i = 0; i < ARRAY_SIZE(WAYS); i++)
        has_begun = has_begun || WAYS[i].has_begun(session);
    return has_begun;
}

int deletion_settle(struct session *session, struct error *err)
{
    struct error failure = ERROR_INIT;
    if (!deletion_settle_has_begun(session))
        return 0;
    int r = deletion_settle_run(session, &failure);
    if (r == 0) {
        session->outcome = "gone on with, to its end";
        return 0;
    }
    bool has_gone = error_is(&failure, EXC_INSTANCE_NOT_FOUND);
    if (has_gone || !deletion_settle_has_begun(session)) {
        log_warning("%s", failure.message);
        session->outcome = has_gone ? SESSION_GONE : "given up";
        return 0;
    }
    *err = failure;
    return r;
}
