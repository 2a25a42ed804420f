/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot: reading it, deleting it, reporting about it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cinder_client/cinder_int.h"
#include "common/cleanup.h"
#include "common/log.h"

#define PATH_SIZE (32 + ID_UUID_SIZE)

static int read_members(const json_t *object, struct cinder_snapshot *snapshot, struct error *err)
{
    if (cinder_copy_member(object, "id", snapshot->id, sizeof(snapshot->id), err) < 0 ||
        cinder_copy_member(object, "status", snapshot->status, sizeof(snapshot->status), err) < 0 ||
        cinder_copy_member(object, "volume_id", snapshot->volume_id, sizeof(snapshot->volume_id),
                           err) < 0)
        return -err->errnum;
    if (id_is_uuid(snapshot->id) && id_is_uuid(snapshot->volume_id))
        return 0;
    return error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                     "Cinder's snapshot has an id that is not a UUID");
}

int cinder_snapshot_parse(json_t *object, struct cinder_snapshot *ret_snapshot, struct error *err)
{
    struct cinder_snapshot snapshot = {.object = object};
    if (read_members(object, &snapshot, err) < 0) {
        json_decref(object);
        return -err->errnum;
    }
    *ret_snapshot = snapshot;
    return 0;
}

int cinder_snapshot_read(const struct cinder *cinder, const struct request_context *context,
                         const char *snapshot_id, uint64_t deadline_ms,
                         struct cinder_snapshot *ret_snapshot, struct error *err)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "/snapshots/%s", snapshot_id);
    const struct cinder_call call = {
        .method = "GET",
        .path = path,
        .kind = &cinder_kind_snapshot,
        .id = snapshot_id,
        .deadline_ms = deadline_ms,
    };
    json_t *object = NULL;
    struct cinder_snapshot snapshot;
    int r = cinder_get_object(cinder, context, &call, "snapshot", &object, err);
    if (r < 0)
        return r;
    r = cinder_snapshot_parse(object, &snapshot, err);
    if (r < 0)
        return r;
    if (strcasecmp(snapshot.id, snapshot_id) != 0) {
        cinder_snapshot_done(&snapshot);
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                         "Cinder's answer is not that of snapshot %s", snapshot_id);
    }
    *ret_snapshot = snapshot;
    return 0;
}

/* A repeated DELETE is refused when the first one was taken and only its answer lost. */
static bool is_being_deleted(const struct cinder *cinder, const struct request_context *context,
                             const char *snapshot_id)
{
    struct error ignored = ERROR_INIT;
    struct cinder_snapshot snapshot;
    if (cinder_snapshot_read(cinder, context, snapshot_id, 0, &snapshot, &ignored) < 0)
        return false;
    bool deleting = strcmp(snapshot.status, "deleting") == 0;
    cinder_snapshot_done(&snapshot);
    return deleting;
}

int cinder_snapshot_delete(struct cinder *cinder, const struct request_context *context,
                           const char *snapshot_id, struct error *err)
{
    char path[PATH_SIZE];
    struct error failed = ERROR_INIT;
    int r = cinder_check_id(&cinder_kind_snapshot, snapshot_id, err);
    if (r < 0)
        return r;
    (void)snprintf(path, sizeof(path), "/snapshots/%s", snapshot_id);
    const struct cinder_call call = {
        .method = "DELETE", .path = path, .kind = &cinder_kind_snapshot, .id = snapshot_id};
    r = cinder_do(cinder, context, &call, &failed);
    bool begun_before =
        r < 0 && failed.http_status == 400 && is_being_deleted(cinder, context, snapshot_id);
    if (r < 0 && !begun_before) {
        *err = failed;
        return r;
    }
    log_debug("snapshot %s: its deletion has begun%s", snapshot_id, begun_before ? " before" : "");
    return 0;
}

int cinder_snapshot_update_status(struct cinder *cinder, const struct request_context *context,
                                  const char *snapshot_id, const char *status, const char *progress,
                                  struct error *err)
{
    char path[PATH_SIZE];
    int r = cinder_check_id(&cinder_kind_snapshot, snapshot_id, err);
    if (r < 0)
        return r;
    json_t *action = json_pack("{s:{s:s, s:s*}}", "os-update_snapshot_status", "status", status,
                               "progress", progress);
    cleanup_free char *body = json_dumps(action, JSON_COMPACT);
    json_decref(action);
    if (!body)
        return error_nomem(err);
    log_debug("snapshot %s: Cinder is told status '%s', progress %s", snapshot_id, status,
              progress ? progress : "-");
    (void)snprintf(path, sizeof(path), "/snapshots/%s/action", snapshot_id);
    const struct cinder_call call = {
        .method = "POST",
        .path = path,
        .body = body,
        .kind = &cinder_kind_snapshot,
        .id = snapshot_id,
    };
    return cinder_do(cinder, context, &call, err);
}

void cinder_snapshot_done(struct cinder_snapshot *snapshot)
{
    if (!snapshot)
        return;
    json_decref(snapshot->object);
    *snapshot = (struct cinder_snapshot){0};
}
