/* SPDX-License-Identifier: Apache-2.0 */
/* See merge_settle.h. */
#include "domain/merge_settle.h"

#include "common/failpoint.h"
#include "common/json.h"
#include "domain/merge_disk.h"
#include "domain/merge_end.h"
#include "domain/merge_relink.h"

#define FORGOTTEN "forgotten"

/* Also after a disk was left out of it. */
static void read_note(struct merging *merging)
{
    json_decref(merging->note);
    merging->note = json_incref(json_array_get(record_all(merging->session->record, "merge"), 0));
    merging->snapshot = json_string_member(merging->note, "snapshot");
}

/* From then on a checkpoint of its name is another one, and what the disks are is nobody's business
 * here. */
static int forget_snapshot(const struct merging *merging, struct error *err)
{
    int r = merge_end_metadata(merging->domain, merging->snapshot, err);
    return r < 0 ? r : record_note(merging->session->record, FORGOTTEN, json_true(), err);
}

static int run_merge(struct merging *merging, struct error *err)
{
    read_note(merging);
    if (record_all(merging->session->record, FORGOTTEN))
        return merge_end_files(merging->session, merging->note, err);
    int r = merge_disks(merging, err);
    if (r < 0)
        return r;
    read_note(merging);
    r = merge_relink_definition(merging->domain, disks_of(merging), err);
    if (r == 0)
        r = merge_relink_snapshots(merging->domain, disks_of(merging), merging->snapshot, err);
    failpoint("merge:relinked");
    if (r == 0)
        r = forget_snapshot(merging, err);
    failpoint("merge:metadata-gone");
    return r < 0 ? r : merge_end_files(merging->session, merging->note, err);
}

int merge_settle_run(struct session *session, struct error *err)
{
    struct merging merging = {.session = session};
    int r = run_merge(&merging, err);
    cleanup_free_domain(&merging.domain);
    json_decref(merging.note);
    return r;
}

bool merge_settle_has_begun(const struct session *session)
{
    return json_array_size(record_all(session->record, "merging")) > 0;
}
