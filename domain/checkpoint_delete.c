/* SPDX-License-Identifier: Apache-2.0 */
/* See checkpoint_delete.h. */
#include "domain/checkpoint_delete.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"
#include "domain/deletion_plan.h"
#include "domain/deletion_settle.h"
#include "domain/flatten_plan.h"
#include "domain/leftover.h"
#include "domain/merge_check.h"
#include "domain/saved_file.h"
#include "driver/libvirt/connection.h"

/* Before the first layer is touched nothing is left behind. */
static int do_plan(struct session *session, const struct deletion_plan *plan, struct error *err)
{
    struct error failure = ERROR_INIT, ignored = ERROR_INIT;
    int r = session_note_domain(session, &failure);
    if (r == 0)
        r = record_note(session->record, plan->kind, json_incref(plan->note), &failure);
    failpoint("merge:written-down");
    if (r == 0)
        r = deletion_settle_run(session, &failure);
    if (r == 0)
        return record_end(session->record, err);
    if (!deletion_settle_has_begun(session))
        (void)record_end(session->record, &ignored);
    else
        (void)error_append(&failure,
                           "; the next command on the domain goes on with it, or `domain recover`, "
                           "which nova-snapshot-domain-recover.timer starts each minute where it "
                           "is enabled");
    *err = failure;
    return r;
}

struct snapshots {
    virDomainSnapshotPtr *list; /* owned: parents before children */
    int count;
};

static void free_snapshots(struct snapshots *snapshots)
{
    for (int i = 0; i < snapshots->count; i++)
        (void)virDomainSnapshotFree(snapshots->list[i]);
    free(snapshots->list);
}

/* The one of that name, and what was made after it. */
static int find_snapshots(virDomainPtr domain, const char *name, bool children,
                          struct snapshots *ret_snapshots, struct error *err)
{
    virDomainSnapshotPtr first = virDomainSnapshotLookupByName(domain, name, 0), *below = NULL;
    if (!first)
        return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_SNAPSHOT
                   ? error_set(err, ENOENT, EXC_SNAPSHOT_NOT_FOUND,
                               "the domain has no checkpoint %s: see `domain checkpoints`", name)
                   : libvirt_error(err, "cannot look for checkpoint %s", name);
    int n = children ? virDomainSnapshotListAllChildren(first, &below,
                                                        VIR_DOMAIN_SNAPSHOT_LIST_DESCENDANTS |
                                                            VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL)
                     : 0;
    int r = n < 0 ? libvirt_error(err, "cannot list what was made after checkpoint %s", name) : 0;
    virDomainSnapshotPtr *list = n < 0 ? NULL : calloc((size_t)n + 1, sizeof(virDomainSnapshotPtr));
    if (!list) {
        (void)virDomainSnapshotFree(first);
        return r < 0 ? r : error_nomem(err);
    }
    list[0] = first;
    if (n > 0)
        memcpy(list + 1, below, (size_t)n * sizeof(virDomainSnapshotPtr));
    free(below);
    *ret_snapshots = (struct snapshots){list, n + 1};
    return 0;
}

static int prepare(struct session *session, const struct delete_request *request, struct error *err)
{
    int r = leftover_undo_earlier(session, err);
    if (r == 0)
        r = session_need_domain(session, err);
    if (r == 0)
        r = saved_file_check(session, request->force, err);
    return r < 0 ? r : merge_check_domain(session, err);
}

static int do_noted(struct session *session, const struct deletion_plan *plan, json_t *done,
                    struct error *err)
{
    int r = do_plan(session, plan, err);
    if (r == 0 && json_array_append(done, plan->note) < 0)
        r = error_nomem(err);
    return r;
}

static bool is_branch(const struct deletion_plan *plan)
{
    return plan->note && strcmp(plan->kind, "branch") == 0;
}

/* `before`: the branches that will have gone by then; this one is added. */
static int plan_one(const struct session *session, virDomainSnapshotPtr snapshot, json_t *before,
                    struct error *err)
{
    struct deletion_plan spare = {0}, plan = {0};
    int r = deletion_plan_spare(session, snapshot, before, &spare, err);
    if (r == 0 && is_branch(&spare) && json_array_append(before, spare.note) < 0)
        r = error_nomem(err);
    if (r == 0)
        r = deletion_plan_make(session, snapshot, before, &plan, err);
    if (r == 0 && is_branch(&plan) && json_array_append(before, plan.note) < 0)
        r = error_nomem(err);
    json_decref(spare.note);
    json_decref(plan.note);
    return r;
}

static int delete_one(struct session *session, virDomainSnapshotPtr snapshot, json_t *done,
                      struct error *err)
{
    struct deletion_plan spare = {0}, plan = {0};
    int r = deletion_plan_spare(session, snapshot, NULL, &spare, err);
    if (r == 0 && is_branch(&spare))
        r = do_plan(session, &spare, err);
    if (r == 0)
        r = deletion_plan_make(session, snapshot, NULL, &plan, err);
    if (r == 0)
        r = do_noted(session, &plan, done, err);
    json_decref(spare.note);
    json_decref(plan.note);
    return r;
}

/* Newest first: what is above stays as it is known to be. */
static int delete_all(struct session *session, const struct snapshots *snapshots, json_t *done,
                      struct error *err)
{
    json_t *before = json_array();
    int r = before ? 0 : error_nomem(err);
    for (int i = snapshots->count - 1; r == 0 && i >= 0; i--)
        r = plan_one(session, snapshots->list[i], before, err);
    json_decref(before);
    for (int i = snapshots->count - 1; r == 0 && i >= 0; i--)
        r = delete_one(session, snapshots->list[i], done, err);
    return r;
}

int checkpoint_delete(struct session *session, const struct delete_request *request,
                      json_t **ret_done, struct error *err)
{
    struct snapshots snapshots = {0};
    json_t *done = *ret_done = json_array();
    int r = prepare(session, request, err);
    if (r == 0)
        r = find_snapshots(session->domain, request->name, request->children, &snapshots, err);
    if (r == 0)
        r = delete_all(session, &snapshots, done, err);
    free_snapshots(&snapshots);
    return r;
}

int checkpoint_delete_flatten(struct session *session, const struct delete_request *request,
                              json_t **ret_done, struct error *err)
{
    struct deletion_plan plan = {.kind = "merge"};
    json_t *done = *ret_done = json_array();
    int r = prepare(session, request, err);
    if (r == 0)
        r = flatten_plan(session, request->disks, request->disk_count, &plan.note, err);
    if (r == 0 && json_array_size(json_object_get(plan.note, "disks")) > 0) {
        r = merge_check(session, plan.note, NULL, err);
        if (r == 0)
            r = do_noted(session, &plan, done, err);
    }
    json_decref(plan.note);
    return r;
}
