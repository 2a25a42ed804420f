/* SPDX-License-Identifier: Apache-2.0 */
/* See deletion_plan.h. */
#include "domain/deletion_plan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "domain/branch_check.h"
#include "domain/branch_need.h"
#include "domain/branch_plan.h"
#include "domain/checkpoint_name.h"
#include "domain/deletion_point.h"
#include "domain/internal_delete.h"
#include "domain/merge_chain.h"
#include "domain/merge_check.h"
#include "domain/merge_plan.h"
#include "domain/save_record.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/connection.h"

/* Borrowed. */
struct planning {
    const struct session *session;
    virDomainSnapshotPtr snapshot;
    const xmlNode *root;
    const json_t *before;
};

static int merge_disk(const struct deletion_point *point, size_t place, json_t *disks,
                      struct error *err)
{
    const struct checkpoint_disk *then = &point->disks[place];
    /* What is left beside is a branch until it has gone, which merge_check() refuses. */
    const char *layer = deletion_point_is_left_beside(point, place) ? NULL : then->overlay;
    const struct merge_plan_request request = {then->target, then->base, then->format, false,
                                               layer};
    json_t *disk = NULL;
    int r = merge_plan_disk(point->chains[place], &request, &disk, err);
    if (r == 0 && !disk)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "disk %s: the guest writes to %s itself, the checkpoint is there no more: "
                         "once no later one is left, `virsh snapshot-delete --metadata` has "
                         "libvirt forget it",
                         then->target, then->base);
    return r < 0 || json_array_append_new(disks, disk) == 0 ? r : error_nomem(err);
}

/* One that is there and is a guest's memory; a file that has gone is nothing to remove. */
static int plan_memory(const xmlNode *root, json_t *note, struct error *err)
{
    char path[DRIVER_PATH_MAX];
    json_t *file = NULL;
    bool is_whole = false;
    if (!xml_node_copy_attribute(xml_node_child_named(root, "memory"), "file", path, sizeof(path)))
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "the memory's file");
    if (path[0] == '\0' || (access(path, F_OK) < 0 && errno == ENOENT))
        return 0;
    int r = save_record_memory_is_whole(path, &is_whole, err);
    if (r == 0 && !is_whole)
        r = error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                      "%s is no guest's memory: it is not known what would be removed", path);
    if (r == 0)
        r = merge_chain_look(path, "raw", &file, err);
    return r < 0 || json_object_set_new(note, "memory", file) == 0 ? r : error_nomem(err);
}

static int read_map(const struct session *session, const json_t *before, struct layer_map *ret_map,
                    struct error *err)
{
    const json_t *note;
    size_t i;
    int r = layer_map_read(session, ret_map, err);
    json_array_foreach (before, i, note) {
        if (r == 0)
            branch_need_apply(note, ret_map);
    }
    return r;
}

/* A disk that was detached for good would keep the others from being merged for ever. */
static int leave_detached(const struct planning *planning, const struct deletion_point *point,
                          size_t place, json_t *left, struct error *err)
{
    cleanup_layer_map struct layer_map map = {0};
    const struct checkpoint_disk *disk = &point->disks[place];
    int r = read_map(planning->session, planning->before, &map, err);
    if (r < 0 || !deletion_point_is_detached(point, place, &map))
        return r;
    json_t *files = json_pack("{s:s, s:s, s:s}", "target", disk->target, "base", disk->base,
                              "layer", disk->overlay);
    return json_array_append_new(left, files) == 0 ? 0 : error_nomem(err);
}

static int merge_or_leave(const struct planning *planning, const struct deletion_point *point,
                          size_t place, json_t *merge, struct error *err)
{
    json_t *left = json_object_get(merge, "left");
    size_t count = json_array_size(left);
    int r = point->is_detached[place] ? leave_detached(planning, point, place, left, err) : 0;
    return r < 0 || json_array_size(left) > count
               ? r
               : merge_disk(point, place, json_object_get(merge, "disks"), err);
}

static int plan_merge(const struct planning *planning, const struct deletion_point *point,
                      json_t **ret_note, struct error *err)
{
    json_t *merge = json_pack("{s:s, s:[], s:[]}", "snapshot",
                              virDomainSnapshotGetName(planning->snapshot), "disks", "left");
    int r = merge ? plan_memory(planning->root, merge, err) : error_nomem(err);
    for (size_t i = 0; r == 0 && i < point->disk_count; i++)
        r = merge_or_leave(planning, point, i, merge, err);
    if (r == 0)
        r = merge_check(planning->session, merge, planning->before, err);
    if (r == 0)
        *ret_note = json_incref(merge);
    json_decref(merge);
    return r;
}

static bool goes_before(const json_t *before, const char *name)
{
    const json_t *note;
    size_t i;
    json_array_foreach (before, i, note) {
        const char *snapshot = json_string_member(note, "snapshot");
        if (snapshot && strcmp(snapshot, name) == 0)
            return true;
    }
    return false;
}

/* What was made after it would need it, and libvirt takes nothing for current that has gone. */
static int check_is_end(virDomainSnapshotPtr snapshot, const json_t *before, struct error *err)
{
    virDomainSnapshotPtr *children = NULL;
    int n = virDomainSnapshotListAllChildren(snapshot, &children, 0);
    int r = n < 0 ? libvirt_error(err, "cannot list what was made after it") : 0;
    for (int i = 0; i < n; i++) {
        const char *name = virDomainSnapshotGetName(children[i]);
        if (r == 0 && !goes_before(before, name))
            r = error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                          "the guest does not go on from it, but checkpoint %s was made after it: "
                          "delete that one first, or all of them with --children",
                          name);
        (void)virDomainSnapshotFree(children[i]);
    }
    free(children);
    if (r == 0 && virDomainSnapshotIsCurrent(snapshot, 0) == 1)
        r = error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                      "the guest goes on from elsewhere, while libvirt takes it for the one the "
                      "guest goes on from: somebody has given the domain other disks");
    return r;
}

/* `name` NULL: of these disks the layers alone that they were given. */
static int plan_branch(const struct planning *planning, const char *name,
                       const struct deletion_point *point, json_t **ret_note, struct error *err)
{
    cleanup_layer_map struct layer_map map = {0};
    char stamp[CHECKPOINT_STAMP_SIZE] = "";
    json_t *note = NULL;
    const struct branch_plan_request request = {name, point->disks, point->disk_count, stamp};
    int r = checkpoint_name_stamp(planning->session->domain, "left-", stamp, err);
    if (r == 0)
        r = read_map(planning->session, planning->before, &map, err);
    if (r == 0)
        r = branch_plan_look_beside(&map, &request, err);
    if (r == 0)
        r = branch_plan(&map, &request, &note, err);
    if (r == 0)
        r = branch_check(&map, note, point->disks, point->disk_count, err);
    if (r == 0)
        *ret_note = json_incref(note);
    json_decref(note);
    return r;
}

static int plan_end_of_branch(const struct planning *planning, const struct deletion_point *point,
                              json_t **ret_note, struct error *err)
{
    json_t *note = NULL;
    int r = check_is_end(planning->snapshot, planning->before, err);
    if (r == 0)
        r = plan_branch(planning, virDomainSnapshotGetName(planning->snapshot), point, &note, err);
    if (r == 0)
        r = plan_memory(planning->root, note, err);
    if (r == 0)
        *ret_note = json_incref(note);
    json_decref(note);
    return r;
}

static size_t count_disks(const xmlNode *root, const char *kind)
{
    size_t count = 0;
    const xmlNode *disks = xml_node_child_named(root, "disks");
    for (xmlNode *disk = xml_node_child_named(disks, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk"))
        count += xml_node_attribute_is(disk, "snapshot", kind);
    return count;
}

static int read_snapshot(virDomainSnapshotPtr snapshot, xmlDoc **ret_document, struct error *err)
{
    const char *name = virDomainSnapshotGetName(snapshot);
    cleanup_free char *xml = virDomainSnapshotGetXMLDesc(snapshot, 0);
    int r = xml ? xml_node_parse(xml, "domainsnapshot", ret_document, err)
                : libvirt_error(err, "cannot read checkpoint %s", name);
    if (r < 0)
        return r;
    const xmlNode *root = xmlDocGetRootElement(*ret_document);
    bool is_internal = count_disks(root, "internal") > 0;
    return is_internal == (count_disks(root, "external") > 0) || count_disks(root, "manual") > 0
               ? error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                           "it is neither inside its disks nor beside them, but a bit of each")
               : 0;
}

static int plan_external(const struct planning *planning, struct deletion_plan *ret_plan,
                         struct error *err)
{
    cleanup_deletion_point struct deletion_point point = {0};
    int r = deletion_point_read(planning->session->domain, planning->root, &point, err);
    if (r < 0)
        return r;
    bool goes_on = point.in_chain_count > 0;
    ret_plan->kind = goes_on ? "merge" : "branch";
    return goes_on ? plan_merge(planning, &point, &ret_plan->note, err)
                   : plan_end_of_branch(planning, &point, &ret_plan->note, err);
}

int deletion_plan_make(const struct session *session, virDomainSnapshotPtr snapshot,
                       const json_t *before, struct deletion_plan *ret_plan, struct error *err)
{
    const char *name = virDomainSnapshotGetName(snapshot);
    cleanup_xml_document xmlDoc *document = NULL;
    int r = read_snapshot(snapshot, &document, err);
    const xmlNode *root = r == 0 ? xmlDocGetRootElement(document) : NULL;
    const struct planning planning = {session, snapshot, root, before};
    bool is_internal = r == 0 && count_disks(root, "internal") > 0;
    ret_plan->kind = "delete";
    if (r == 0 && is_internal)
        r = internal_delete_plan(session, name, root, &ret_plan->note, err);
    else if (r == 0)
        r = plan_external(&planning, ret_plan, err);
    return r < 0 ? error_prepend(err, "checkpoint %s cannot be deleted", name) : 0;
}

static int plan_spare(const struct planning *planning, json_t **ret_note, struct error *err)
{
    cleanup_deletion_point struct deletion_point point = {0};
    int r = deletion_point_read(planning->session->domain, planning->root, &point, err);
    if (r == 0)
        deletion_point_keep_left_beside(&point);
    return r < 0 || point.disk_count == 0 ? r : plan_branch(planning, NULL, &point, ret_note, err);
}

int deletion_plan_spare(const struct session *session, virDomainSnapshotPtr snapshot,
                        const json_t *before, struct deletion_plan *ret_plan, struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    *ret_plan = (struct deletion_plan){.kind = "branch"};
    int r = read_snapshot(snapshot, &document, err);
    const xmlNode *root = r == 0 ? xmlDocGetRootElement(document) : NULL;
    const struct planning planning = {session, snapshot, root, before};
    if (r == 0 && count_disks(root, "external") > 0)
        r = plan_spare(&planning, &ret_plan->note, err);
    return r < 0 ? error_prepend(err, "checkpoint %s cannot be deleted",
                                 virDomainSnapshotGetName(snapshot))
                 : 0;
}
