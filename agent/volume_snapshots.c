/* See volume_snapshots.h. */
#include "agent/volume_snapshots.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "agent/block_device.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

static int look_at(struct volume_snapshots *snapshots, struct volume_snapshot *volume,
                   struct error *err)
{
    struct cinder_volume found = {0};
    int r = cinder_volume_get(snapshots->cinder, snapshots->context,
                              block_device_volume_id(volume->mapping), &found, err);
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
        volume->mapping = mapping;
        int r = look_at(snapshots, volume, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool exceeds(int64_t max, int64_t used, int64_t more)
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
    if (cinder_limits_get(snapshots->cinder, snapshots->context, &limits, &failure) < 0) {
        log_warning("Cinder's limits cannot be read: %s", failure.message);
        return 0;
    }
    if (exceeds(limits.max_snapshots, limits.used_snapshots, (int64_t)snapshots->count))
        return error_set(err, EDQUOT, EXC_OVER_QUOTA, "Quota exceeded for resources: snapshots");
    if (exceeds(limits.max_gigabytes, limits.used_gigabytes, gigabytes))
        return error_set(err, EDQUOT, EXC_OVER_QUOTA, "Quota exceeded for resources: gigabytes");
    return 0;
}

int volume_snapshots_prepare(struct volume_snapshots *snapshots, struct agent *agent,
                             const struct request_context *context, const char *instance_uuid,
                             const char *image_id, const char *image_name, const json_t *mappings,
                             struct error *err)
{
    *snapshots = (struct volume_snapshots){
        .cinder = agent->cinder,
        .context = context,
        .instance_uuid = instance_uuid,
        .image_id = image_id,
        .timeout_ms = (unsigned)agent->conf->snapshot_agent.volume_snapshot_timeout * 1000,
    };
    /* Names the request for operators, and finds a snapshot whose making was not answered. */
    snapshots->metadata = json_pack("{s:s, s:s, s:s}", "instance_uuid", instance_uuid, "image_id",
                                    image_id, "request_id", context->request_id);
    if (asprintf(&snapshots->name, "snapshot for %s", image_name) < 0)
        snapshots->name = NULL;
    if (!snapshots->name || !snapshots->metadata)
        return error_nomem(err);
    int r = look_at_volumes(snapshots, mappings, err);
    return r < 0 ? r : check_limits(snapshots, err);
}

static struct cinder_snapshot_request request_for(const struct volume_snapshots *snapshots,
                                                  const struct volume_snapshot *volume,
                                                  uint64_t deadline_ms)
{
    return (struct cinder_snapshot_request){
        .volume_id = block_device_volume_id(volume->mapping),
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
    int r = cinder_snapshot_await(snapshots->cinder, snapshots->context, volume->id, deadline_ms,
                                  &now, err);
    if (r == 0 && strcmp(now.status, "available") != 0)
        r = error_set(err, EIO, EXC_INTERNAL_ERROR, "its snapshot %s is %s", volume->id,
                      now.status);
    cinder_snapshot_done(&now);
    return r;
}

static int make(struct volume_snapshots *snapshots, struct volume_snapshot *volume,
                struct error *err)
{
    struct cinder_snapshot made = {0};
    uint64_t deadline_ms = clock_now_ms() + snapshots->timeout_ms;
    const struct cinder_snapshot_request request = request_for(snapshots, volume, deadline_ms);
    volume->begun = true;
    int r = cinder_snapshot_create(snapshots->cinder, snapshots->context, &request, &made, err);
    if (r == 0) {
        keep_id(volume, &made);
        r = await_available(snapshots, volume, deadline_ms, err);
    }
    return r < 0 ? error_prepend(err, "volume %s", request.volume_id) : 0;
}

struct maker {
    struct volume_snapshots *snapshots;
    struct volume_snapshot *volume;
    pthread_t thread;
    bool started;
    struct error failure;
};

static void *run_maker(void *arg)
{
    struct maker *maker = arg;
    log_set_context(maker->snapshots->context->request_id, maker->snapshots->instance_uuid);
    (void)make(maker->snapshots, maker->volume, &maker->failure);
    return NULL;
}

int volume_snapshots_make(struct volume_snapshots *snapshots, struct error *err)
{
    struct error failure = ERROR_INIT;
    struct maker *makers = calloc(snapshots->count + 1, sizeof(*makers));
    if (!makers)
        return error_nomem(err);
    for (size_t i = 0; i < snapshots->count; i++) {
        struct maker *maker = &makers[i];
        *maker = (struct maker){.snapshots = snapshots, .volume = &snapshots->volumes[i]};
        int r = pthread_create(&maker->thread, NULL, run_maker, maker);
        maker->started = r == 0;
        if (r != 0)
            (void)error_errno(&maker->failure, r, "cannot start a thread for a volume");
    }
    for (size_t i = 0; i < snapshots->count; i++) {
        if (makers[i].started)
            (void)pthread_join(makers[i].thread, NULL);
        if (makers[i].failure.errnum != 0)
            error_join(&failure, &makers[i].failure);
    }
    free(makers);
    if (failure.errnum == 0)
        return 0;
    *err = failure;
    return -failure.errnum;
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
    int r =
        cinder_snapshot_find(snapshots->cinder, snapshots->context, &request, &there, &found, err);
    if (r == 0 && there)
        keep_id(volume, &found);
    return r;
}

/* Cinder deletes no snapshot it is still making. */
static int remove_snapshot(struct volume_snapshots *snapshots, struct volume_snapshot *volume,
                           struct error *err)
{
    struct cinder_snapshot now = {0};
    uint64_t deadline_ms = clock_now_ms() + snapshots->timeout_ms;
    int r = find_begun(snapshots, volume, deadline_ms, err);
    if (r < 0 || volume->id[0] == '\0')
        return r;
    r = cinder_snapshot_await(snapshots->cinder, snapshots->context, volume->id, deadline_ms, &now,
                              err);
    cinder_snapshot_done(&now);
    if (r == 0)
        r = cinder_snapshot_delete(snapshots->cinder, snapshots->context, volume->id, err);
    if (r == 0)
        r = cinder_snapshot_await_gone(snapshots->cinder, snapshots->context, volume->id,
                                       deadline_ms, err);
    return r;
}

void volume_snapshots_undo(struct volume_snapshots *snapshots)
{
    for (size_t i = snapshots->count; i-- > 0;) {
        struct error err = ERROR_INIT;
        struct volume_snapshot *volume = &snapshots->volumes[i];
        if (!volume->begun)
            continue;
        if (remove_snapshot(snapshots, volume, &err) < 0 && !error_is(&err, EXC_SNAPSHOT_NOT_FOUND))
            log_error("Cinder snapshot %s of volume %s is left behind: %s",
                      volume->id[0] != '\0' ? volume->id : "(unknown)",
                      block_device_volume_id(volume->mapping), err.message);
        volume->begun = false;
    }
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
