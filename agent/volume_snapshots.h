/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cinder snapshots of all volumes of an instance: all or nothing. Confined to the thread that works
 * on the request; the snapshots themselves are made in parallel.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/error.h"
#include "common/id.h"

struct cinder;
struct request_context;

struct volume_snapshot {
    const char *volume_id; /* borrowed */
    char *description;     /* of the volume; owned, may be NULL */
    int64_t size_gib;
    bool begun;            /* Cinder has, or may have, a snapshot of ours ... */
    char id[ID_UUID_SIZE]; /* ... this one; "" = not known */
};

/* For whom they are made; all borrowed. */
struct volume_snapshots_owner {
    struct cinder *cinder;
    const struct request_context *context;
    const char *instance_uuid;
    const char *image_id;
    unsigned timeout_ms; /* for Cinder to make or delete them */
};

struct volume_snapshots {
    struct volume_snapshots_owner owner;
    char *name;       /* of each snapshot; owned */
    json_t *metadata; /* tells them from all others; owned */
    struct volume_snapshot *volumes;
    size_t count;
};

/*
 * Looks at the volumes of `mappings` (borrowed, as block_devices_check() wants them) and at the
 * project's limits before anything is made: OverQuota, InvalidVolume for a volume that cannot be
 * snapshotted. `image_name` names the snapshots. Free with volume_snapshots_done().
 */
int volume_snapshots_prepare(struct volume_snapshots *snapshots,
                             const struct volume_snapshots_owner *owner, const char *image_name,
                             const json_t *mappings, struct error *err);

/* Makes them all and waits until all are available. On failure some may be there: undo. */
int volume_snapshots_make(struct volume_snapshots *snapshots, struct error *err);

/*
 * What has to be known to undo them in another life: an owned object, without the snapshots' ids,
 * which volume_snapshots_ids() tells as far as they are known. NULL when out of memory.
 */
json_t *volume_snapshots_note(const struct volume_snapshots *snapshots);
json_t *volume_snapshots_ids(const struct volume_snapshots *snapshots);

/*
 * Snapshots that may be there, from their notes (borrowed; `ids` may be NULL): to be undone. Free
 * with volume_snapshots_done().
 */
int volume_snapshots_restore(struct volume_snapshots *snapshots,
                             const struct volume_snapshots_owner *owner, const json_t *note,
                             const json_t *ids, struct error *err);

/*
 * Deletes those that were made, all at the same time. Fails with what keeps the first of those that
 * are left; to be called again then.
 */
int volume_snapshots_undo(struct volume_snapshots *snapshots, struct error *err);

void volume_snapshots_done(struct volume_snapshots *snapshots);
