/* SPDX-License-Identifier: Apache-2.0 */
/* See volume_snapshots.h. */
#include "agent/volume_snapshots.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "agent/block_device.h"
#include "cinder_client/cinder.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "conf/conf.h"

static int look_at_volume(struct volume_snapshots *snapshots, struct volume_snapshot *volume,
                          struct error *err)
{
    struct cinder_volume found = {0};
    int r = cinder_volume_get(snapshots->owner.cinder, snapshots->owner.context, volume->volume_id,
                              &found, err);
    if (r < 0)
        return r;
    if (strcmp(found.status, "in-use") != 0 && strcmp(found.status, "available") != 0)
        r = error_set(err, EINVAL, EXC_INVALID_VOLUME, "Invalid volume: volume %s is %s", found.id,
                      found.status);
    volume->size_gib = found.size_gib;
    if (r == 0 && found.description) {
        volume->description = strdup(found.description);
        r = volume->description ? 0 : error_nomem(err);
    }
    cinder_volume_done(&found);
    return r;
}

static int look_at_volumes(struct volume_snapshots *snapshots, const json_t *mappings,
                           struct error *err)
{
    size_t i;
    json_t *mapping;
    snapshots->volumes = calloc(json_array_size(mappings) + 1, sizeof(*snapshots->volumes));
    if (!snapshots->volumes)
        return error_nomem(err);
    json_array_foreach (mappings, i, mapping) {
        if (!block_device_is_present(mapping) || !block_device_volume_id(mapping))
            continue;
        struct volume_snapshot *volume = &snapshots->volumes[snapshots->count++];
        volume->volume_id = block_device_volume_id(mapping);
        int r = look_at_volume(snapshots, volume, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool exceeds_limit(int64_t max, int64_t used, int64_t more)
{
    return max >= 0 && used + more > max;
}

/* Limits that cannot be read are no reason to give up: Cinder checks them itself. */
static int check_limits(struct volume_snapshots *snapshots, struct error *err)
{
    struct cinder_limits limits = {0};
    struct error failure = ERROR_INIT;
    int64_t gigabytes = 0;
    for (size_t i = 0; i < snapshots->count; i++)
        gigabytes += snapshots->volumes[i].size_gib;
    if (cinder_limits_get(snapshots->owner.cinder, snapshots->owner.context, &limits, &failure) <
        0) {
        log_warning("Cinder's limits cannot be read: %s", failure.message);
        return 0;
    }
    if (exceeds_limit(limits.max_snapshots, limits.used_snapshots, (int64_t)snapshots->count))
        return error_set(err, EDQUOT, EXC_OVER_QUOTA, "Quota exceeded for resources: snapshots");
    if (exceeds_limit(limits.max_gigabytes, limits.used_gigabytes, gigabytes))
        return error_set(err, EDQUOT, EXC_OVER_QUOTA, "Quota exceeded for resources: gigabytes");
    return 0;
}

/* Takes `name`, also on failure. */
static int init_snapshots(struct volume_snapshots *snapshots,
                          const struct volume_snapshots_owner *owner, char *name, struct error *err)
{
    *snapshots = (struct volume_snapshots){.owner = *owner, .name = name};
    /* Names the request for operators, and finds a snapshot whose making was not answered. */
    snapshots->metadata =
        json_pack("{s:s, s:s, s:s}", "instance_uuid", owner->instance_uuid, "image_id",
                  owner->image_id, "request_id", owner->context->request_id);
    return name && snapshots->metadata ? 0 : error_nomem(err);
}

int volume_snapshots_prepare(struct volume_snapshots *snapshots,
                             const struct volume_snapshots_owner *owner, const char *image_name,
                             const json_t *mappings, struct error *err)
{
    char *name;
    if (asprintf(&name, "snapshot for %s", image_name) < 0)
        name = NULL;
    int r = init_snapshots(snapshots, owner, name, err);
    if (r == 0)
        r = look_at_volumes(snapshots, mappings, err);
    return r < 0 ? r : check_limits(snapshots, err);
}

json_t *volume_snapshots_note(const struct volume_snapshots *snapshots)
{
    json_t *volumes = json_array();
    for (size_t i = 0; i < snapshots->count; i++)
        (void)json_array_append_new(volumes, json_string(snapshots->volumes[i].volume_id));
    return json_pack("{s:s, s:o}", "name", snapshots->name, "volumes", volumes);
}

json_t *volume_snapshots_ids(const struct volume_snapshots *snapshots)
{
    json_t *ids = json_object();
    for (size_t i = 0; i < snapshots->count; i++)
        if (snapshots->volumes[i].id[0] != '\0')
            (void)json_object_set_new(ids, snapshots->volumes[i].volume_id,
                                      json_string(snapshots->volumes[i].id));
    return ids;
}

int volume_snapshots_restore(struct volume_snapshots *snapshots,
                             const struct volume_snapshots_owner *owner, const json_t *note,
                             const json_t *ids, struct error *err)
{
    const char *name = json_string_member(note, "name");
    const json_t *volumes = json_object_get(note, "volumes");
    size_t i;
    json_t *volume_id;
    int r = init_snapshots(snapshots, owner, strdup(name ? name : ""), err);
    if (r < 0)
        return r;
    snapshots->volumes = calloc(json_array_size(volumes) + 1, sizeof(*snapshots->volumes));
    if (!snapshots->volumes)
        return error_nomem(err);
    json_array_foreach (volumes, i, volume_id) {
        struct volume_snapshot *volume = &snapshots->volumes[snapshots->count];
        if (!id_is_uuid(json_string_value(volume_id)))
            continue;
        volume->volume_id = json_string_value(volume_id);
        volume->begun = true;
        const char *id = json_string_member(ids, volume->volume_id);
        (void)snprintf(volume->id, sizeof(volume->id), "%s", id ? id : "");
        snapshots->count++;
    }
    return 0;
}

static struct cinder_snapshot_request request_for(const struct volume_snapshots *snapshots,
                                                  const struct volume_snapshot *volume,
                                                  uint64_t deadline_ms)
{
    return (struct cinder_snapshot_request){
        .volume_id = volume->volume_id,
        .name = snapshots->name,
        .description = volume->description,
        .metadata = snapshots->metadata,
        .deadline_ms = deadline_ms,
    };
}

/* Takes over the id of what was found or made, and frees the rest. */
static void keep_id(struct volume_snapshot *volume, struct cinder_snapshot *snapshot)
{
    memcpy(volume->id, snapshot->id, sizeof(volume->id));
    cinder_snapshot_done(snapshot);
}

static int await_available(const struct volume_snapshots *snapshots,
                           const struct volume_snapshot *volume, uint64_t deadline_ms,
                           struct error *err)
{
    struct cinder_snapshot now = {0};
    int r = cinder_snapshot_await(snapshots->owner.cinder, snapshots->owner.context, volume->id,
                                  deadline_ms, &now, err);
    if (r == 0 && strcmp(now.status, "available") != 0)
        r = error_set(err, EIO, EXC_INTERNAL_ERROR, "its snapshot %s is %s", volume->id,
                      now.status);
    cinder_snapshot_done(&now);
    return r;
}

static int make_snapshot(struct volume_snapshots *snapshots, struct volume_snapshot *volume,
                         struct error *err)
{
    struct cinder_snapshot made = {0};
    uint64_t deadline_ms = clock_now_ms() + snapshots->owner.timeout_ms;
    const struct cinder_snapshot_request request = request_for(snapshots, volume, deadline_ms);
    volume->begun = true;
    int r = cinder_snapshot_create(snapshots->owner.cinder, snapshots->owner.context, &request,
                                   &made, err);
    if (r == 0) {
        keep_id(volume, &made);
        log_debug("volume %s: snapshot %s is begun", volume->volume_id, volume->id);
        r = await_available(snapshots, volume, deadline_ms, err);
    }
    return r < 0 ? error_prepend(err, "volume %s", request.volume_id) : 0;
}

/* One whose making was not answered is looked for. */
static int find_begun(struct volume_snapshots *snapshots, struct volume_snapshot *volume,
                      uint64_t deadline_ms, struct error *err)
{
    struct cinder_snapshot found = {0};
    const struct cinder_snapshot_request request = request_for(snapshots, volume, deadline_ms);
    bool there = false;
    if (volume->id[0] != '\0')
        return 0;
    int r = cinder_snapshot_find(snapshots->owner.cinder, snapshots->owner.context, &request,
                                 &there, &found, err);
    if (r == 0 && there)
        keep_id(volume, &found);
    return r;
}

/* Cinder deletes no snapshot it is still making. */
static int remove_begun(struct volume_snapshots *snapshots, struct volume_snapshot *volume,
                        struct error *err)
{
    struct cinder_snapshot now = {0};
    uint64_t deadline_ms = clock_now_ms() + snapshots->owner.timeout_ms;
    int r = find_begun(snapshots, volume, deadline_ms, err);
    if (r < 0 || volume->id[0] == '\0')
        return r;
    r = cinder_snapshot_await(snapshots->owner.cinder, snapshots->owner.context, volume->id,
                              deadline_ms, &now, err);
    cinder_snapshot_done(&now);
    if (r == 0)
        r = cinder_snapshot_delete(snapshots->owner.cinder, snapshots->owner.context, volume->id,
                                   err);
    if (r == 0)
        r = cinder_snapshot_await_gone(snapshots->owner.cinder, snapshots->owner.context,
                                       volume->id, deadline_ms, err);
    return r;
}

static int undo_snapshot(struct volume_snapshots *snapshots, struct volume_snapshot *volume,
                         struct error *err)
{
    struct error failure = ERROR_INIT;
    int r = volume->begun ? remove_begun(snapshots, volume, &failure) : 0;
    if (r == 0 || error_is(&failure, EXC_SNAPSHOT_NOT_FOUND)) {
        log_debug("volume %s: no snapshot of ours is left", volume->volume_id);
        volume->begun = false;
        return 0;
    }
    *err = failure;
    return error_prepend(err, "snapshot %s of volume %s is left behind",
                         volume->id[0] != '\0' ? volume->id : "(unknown)", volume->volume_id);
}

/* One thread for each volume. */
struct volume_worker {
    struct volume_snapshots *snapshots;
    struct volume_snapshot *volume;
    int (*work)(struct volume_snapshots *snapshots, struct volume_snapshot *volume,
                struct error *err);
    struct cancel *cancel; /* of the thread that waits for them */
    pthread_t thread;
    bool started;
    struct error failure;
};

static void *run_worker(void *arg)
{
    struct volume_worker *worker = arg;
    log_set_context(worker->snapshots->owner.context->request_id,
                    worker->snapshots->owner.instance_uuid);
    (void)cancel_enter(worker->cancel);
    (void)worker->work(worker->snapshots, worker->volume, &worker->failure);
    return NULL;
}

static int for_each_volume(struct volume_snapshots *snapshots,
                           int (*work)(struct volume_snapshots *, struct volume_snapshot *,
                                       struct error *),
                           struct error *err)
{
    struct error failure = ERROR_INIT;
    struct volume_worker *workers = calloc(snapshots->count + 1, sizeof(*workers));
    if (!workers)
        return error_nomem(err);
    for (size_t i = 0; i < snapshots->count; i++) {
        struct volume_worker *worker = &workers[i];
        *worker = (struct volume_worker){.snapshots = snapshots,
                                         .volume = &snapshots->volumes[i],
                                         .work = work,
                                         .cancel = cancel_current()};
        int r = pthread_create(&worker->thread, NULL, run_worker, worker);
        worker->started = r == 0;
        if (r != 0)
            (void)error_errno(&worker->failure, r, "cannot start a thread for a volume");
    }
    for (size_t i = 0; i < snapshots->count; i++) {
        if (workers[i].started)
            (void)pthread_join(workers[i].thread, NULL);
        if (workers[i].failure.errnum != 0)
            error_join(&failure, &workers[i].failure);
    }
    free(workers);
    if (failure.errnum == 0)
        return 0;
    *err = failure;
    return -failure.errnum;
}

int volume_snapshots_make(struct volume_snapshots *snapshots, struct error *err)
{
    return for_each_volume(snapshots, make_snapshot, err);
}

int volume_snapshots_undo(struct volume_snapshots *snapshots, struct error *err)
{
    return for_each_volume(snapshots, undo_snapshot, err);
}

void volume_snapshots_done(struct volume_snapshots *snapshots)
{
    for (size_t i = 0; i < snapshots->count; i++)
        free(snapshots->volumes[i].description);
    free(snapshots->volumes);
    free(snapshots->name);
    json_decref(snapshots->metadata);
    *snapshots = (struct volume_snapshots){0};
}
