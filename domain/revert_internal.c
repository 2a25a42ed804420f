/* SPDX-License-Identifier: Apache-2.0 */
/* To an internal checkpoint: libvirt does it. See revert.h, revert_int.h. */
/* Names begin with revert_. */
#include <errno.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/checkpoint_take.h"
#include "domain/domain_run.h"
#include "domain/layer_map.h"
#include "domain/pending_call.h"
#include "domain/revert_check.h"
#include "domain/revert_definition.h"
#include "domain/revert_int.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain.h"

/* The guest writes to the very files that hold it, now and from its next start on. */
static int check_is_here(const struct session *session, const struct revert_point *point,
                         unsigned flags, struct error *err)
{
    cleanup_free char *xml = virDomainGetXMLDesc(session->domain, flags);
    int r = xml ? 0 : libvirt_error(err, "cannot read the domain's definition");
    for (size_t i = 0; r == 0 && i < point->disk_count; i++) {
        struct checkpoint_disk disk = point->disks[i];
        struct error ignored = ERROR_INIT;
        (void)snprintf(disk.overlay, sizeof(disk.overlay), "%s", disk.base);
        if (revert_definition_check(xml, &disk, 1, false, &ignored) < 0)
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                             "disk %s is not at %s any more, which holds the checkpoint: go back "
                             "to a checkpoint of that file first",
                             disk.target, disk.base);
    }
    return r;
}

/* Whoever stands on the file, or has kept it as it is now, would have another below him. */
static int check_users(const struct layer_map *map, const char *path, struct error *err)
{
    size_t file = layer_map_find(map, path);
    for (size_t i = 0; file != LAYER_MAP_NONE && i < map->name_count; i++) {
        const struct layer_name *name = &map->names[i];
        bool is_ours = name->file == file && name->is_own &&
                       (name->kind != LAYER_NAME_STATE || name->is_internal);
        if (!is_ours && layer_map_reaches(map, name->file, file))
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                             "%s, which would change, is needed as it is by %s%s of domain %s",
                             path, name->snapshot ? "checkpoint " : "the definition",
                             name->snapshot ? name->snapshot : "", name->domain);
    }
    return file != LAYER_MAP_NONE && map->files[file].is_there
               ? 0
               : error_set(err, ESTALE, EXC_INTERNAL_ERROR, "%s has gone", path);
}

static int check_files(const struct session *session, const struct revert_point *point,
                       struct error *err)
{
    cleanup_layer_map struct layer_map map = {0};
    int r = layer_map_read(session, &map, err);
    for (size_t i = 0; r == 0 && i < point->disk_count; i++) {
        const struct checkpoint_disk *disk = &point->disks[i];
        size_t count = 0;
        r = check_users(&map, disk->base, err);
        if (r == 0)
            r = qemu_img_count_snapshots(disk->base, point->name, &count, err);
        if (r == 0 && count != 1)
            r = error_set(err, ESTALE, EXC_INTERNAL_ERROR, "%s holds %zu checkpoints %s, not one",
                          disk->base, count, point->name);
    }
    return r;
}

/* Jobs, a memory that libvirt keeps, disks of other kinds: what a new one could not be made with.
 */
static int check_domain(struct session *session, const struct revert_point *point,
                        struct error *err)
{
    const struct checkpoint_request now = {.internal = true};
    struct checkpoint_report report = {0};
    int r = revert_check_domain(session, point, err);
    if (r == 0)
        r = checkpoint_take_prepare(session, &now, &report.plan, err);
    checkpoint_take_done(&report);
    if (r == 0)
        r = check_is_here(session, point, 0, err);
    return r < 0 ? r : check_is_here(session, point, VIR_DOMAIN_XML_INACTIVE, err);
}

/* It has not begun: all else may have come some way. */
static bool is_refusal(int code)
{
    return code == VIR_ERR_SNAPSHOT_REVERT_RISKY || code == VIR_ERR_OPERATION_TIMEOUT ||
           code == VIR_ERR_NO_SUPPORT || code == VIR_ERR_INVALID_ARG || code == VIR_ERR_NO_DOMAIN ||
           code == VIR_ERR_NO_DOMAIN_SNAPSHOT;
}

/* What an earlier try came to is as open as it was. */
static void note_refusal(struct session *session, int code)
{
    struct error failure = ERROR_INIT;
    if (is_refusal(code) && json_array_size(record_all(session->record, "internal")) == 1 &&
        record_note(session->record, "returned", json_true(), &failure) < 0)
        log_debug("libvirt's refusal is not noted: %s", failure.message);
}

static int call_libvirt(struct session *session, const struct revert_point *point,
                        const char *state, struct error *err)
{
    unsigned flags = strcmp(state, "running") == 0  ? VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING
                     : strcmp(state, "paused") == 0 ? VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED
                                                    : 0;
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(session->domain, point->name, 0);
    if (!snapshot)
        return libvirt_error(err, "cannot look for checkpoint %s", point->name);
    int r = pending_call_begin(session, err);
    if (r == 0 && virDomainRevertToSnapshot(snapshot, flags) < 0) {
        int code = virGetLastErrorCode();
        r = libvirt_error(err, "libvirt does not go back, look at the domain");
        pending_call_failed(session);
        note_refusal(session, code);
    }
    (void)virDomainSnapshotFree(snapshot);
    failpoint("revert:internal");
    if (r == 0)
        r = record_note(session->record, "entered", json_true(), err);
    return r < 0 ? r : pending_call_answered(session, err);
}

static int note_internal(struct session *session, const struct revert_point *point,
                         struct error *err)
{
    cleanup_run json_t *run = NULL;
    int r = domain_run_read(session, &run, err);
    if (r == 0)
        r = session_note_domain(session, err);
    return r < 0 ? r
                 : record_note(session->record, "internal",
                               json_pack("{s:s, s:O}", "name", point->name, "run", run), err);
}

int revert_internal(struct session *session, const struct revert_point *point,
                    const struct revert_request *request, const struct revert_report *report,
                    struct error *err)
{
    if (!request->force)
        return error_set(
            err, EINVAL, EXC_INTERNAL_ERROR,
            "checkpoint %s is inside the disks' files: what was written since would be "
            "lost, --force does it",
            point->name);
    int r = check_domain(session, point, err);
    if (r == 0)
        r = check_files(session, point, err);
    if (r == 0)
        r = note_internal(session, point, err);
    return r < 0 ? r : call_libvirt(session, point, report->state, err);
}

bool revert_internal_is_again(const struct session *session, const struct revert_request *request)
{
    const json_t *first = json_array_get(record_all(session->record, "internal"), 0);
    const char *name = json_string_member(first, "name");
    return request->force && name && strcmp(name, request->name) == 0;
}
