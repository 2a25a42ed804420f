/* SPDX-License-Identifier: Apache-2.0 */
/* See branch_settle.h. */
#include "domain/branch_settle.h"

#include <errno.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "domain/branch_need.h"
#include "domain/branch_relink.h"
#include "domain/layer_map.h"
#include "domain/merge_end.h"
#include "domain/merge_plan.h"
#include "driver/libvirt/domain.h"

#define FORGOTTEN "forgotten"

static const json_t *note_of(const struct session *session)
{
    return json_array_get(record_all(session->record, "branch"), 0);
}

/* Whoever came since it was planned keeps his files. */
static int check_users(const struct session *session, struct error *err)
{
    cleanup_layer_map struct layer_map map = {0};
    const json_t *disk;
    size_t i;
    int r = layer_map_read(session, &map, err);
    json_array_foreach (json_object_get(note_of(session), "disks"), i, disk) {
        if (r == 0)
            r = merge_plan_look_beside(&map, disk, err);
    }
    return r < 0 ? r : branch_need_check(&map, note_of(session), err);
}

/* Nothing has gone yet: it stays, and who calls again does nothing. */
static int give_up(struct record *record, struct error *err)
{
    struct error failure = ERROR_INIT;
    int r = record_restart(record, json_pack("{s:O*}", "domain", record_all(record, "domain")),
                           &failure);
    if (r < 0)
        *err = failure;
    return r < 0 ? r : -err->errnum;
}

static int forget_checkpoint(struct session *session, virDomainPtr domain, struct error *err)
{
    const json_t *relinks = json_object_get(note_of(session), "relink");
    int r = check_users(session, err);
    if (r == -EINVAL)
        return give_up(session->record, err);
    if (r == 0 && !branch_settle_has_begun(session))
        r = record_note(session->record, "dropping", json_true(), err);
    failpoint("branch:begun");
    if (r == 0)
        r = branch_relink_make(relinks, err);
    if (r == 0)
        r = branch_relink_snapshots(domain, relinks, err);
    failpoint("branch:relinked");
    if (r == 0)
        r = merge_end_metadata(domain, json_string_member(note_of(session), "snapshot"), err);
    failpoint("branch:metadata-gone");
    return r < 0 ? r : record_note(session->record, FORGOTTEN, json_true(), err);
}

int branch_settle_run(struct session *session, struct error *err)
{
    cleanup_domain virDomainPtr domain = NULL;
    bool is_active = false;
    int r = libvirt_domain_find_again(session->driver->connection, session->uuid, &domain,
                                      &is_active, err);
    if (r == 0 && !domain)
        r = error_set(err, ENOENT, EXC_INSTANCE_NOT_FOUND,
                      "the domain has gone: the files of its checkpoints stay");
    if (r == 0 && !record_all(session->record, FORGOTTEN))
        r = forget_checkpoint(session, domain, err);
    return r < 0 ? r : merge_end_files(session, note_of(session), err);
}

bool branch_settle_has_begun(const struct session *session)
{
    return record_all(session->record, "dropping") != NULL;
}
