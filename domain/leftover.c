/* SPDX-License-Identifier: Apache-2.0 */
/* See leftover.h. */
#include "domain/leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/bitmap_checkpoint.h"
#include "driver/image/staging.h"
#include "driver/snapshot/recover.h"
#include "driver/undo.h"

static bool is_complete(const struct session *session)
{
    return record_all(session->record, "complete") != NULL;
}

static int bring_guest_back(void *op, struct error *err)
{
    struct session *session = op;
    struct image_source *image = NULL;
    const struct driver_recovery recovery = {.uuid = session->uuid,
                                             .entries = record_all(session->record, "driver"),
                                             .host_rebooted =
                                                 record_host_rebooted(session->record)};
    int r = libvirt_recover(session->driver, &recovery, &image, err);
    image_source_close(image); /* nobody asks for it any more */
    failpoint("domain:guest-is-back");
    return r;
}

static int remove_scratch_file(const struct session *session, const json_t *note, struct error *err)
{
    struct staging *staging = NULL;
    const char *directory = json_string_member(note, "directory");
    const char *file = json_string_member(note, "file");
    int r = staging_named(directory ? directory : "", file ? file : "", &staging, err);
    if (r < 0)
        return r;
    (void)staging_claim(staging, session->driver->snapshots_directory);
    staging_free(staging);
    return 0;
}

static int remove_scratch_files(void *op, struct error *err)
{
    struct session *session = op;
    size_t i;
    const json_t *note;
    int r = 0;
    json_array_foreach (record_all(session->record, "scratch"), i, note) {
        if (remove_scratch_file(session, note, err) < 0)
            r = -err->errnum;
    }
    return r;
}

static int remove_checkpoint(void *op, struct error *err)
{
    struct session *session = op;
    const json_t *note = json_array_get(record_all(session->record, "checkpoint"), 0);
    const char *name = json_string_member(note, "name"), *id = json_string_member(note, "id");
    return !name || !id || is_complete(session) ? 0
                                                : bitmap_checkpoint_remove(session, name, id, err);
}

/* Somebody else's file stays, where the file system can tell. */
static int put_in_place(const char *partial, const char *path)
{
    int r = renameat2(AT_FDCWD, partial, AT_FDCWD, path, RENAME_NOREPLACE);
    return r < 0 && errno == EINVAL ? rename(partial, path) : r;
}

/* A file that was put in place by an earlier try is not there under its partial name. */
static int settle_file(const char *partial, const char *path, bool complete, struct error *err)
{
    int r = complete ? put_in_place(partial, path) : unlink(partial);
    if (r == 0 || errno == ENOENT)
        return 0;
    return complete ? error_errno(err, errno, "cannot give %s its name, %s", partial, path)
                    : error_errno(err, errno, "cannot remove %s", partial);
}

static int settle_files(void *op, struct error *err)
{
    struct session *session = op;
    size_t i;
    const json_t *note;
    int r = 0;
    json_array_foreach (record_all(session->record, "file"), i, note) {
        const char *partial = json_string_member(note, "partial");
        const char *path = json_string_member(note, "path");
        if (partial && path && settle_file(partial, path, is_complete(session), err) < 0)
            r = -err->errnum;
        failpoint("domain:file-settled");
    }
    return r;
}

int leftover_undo(struct session *session, struct error *err)
{
    static const struct undo_step steps[] = {
        {"bring the guest back", bring_guest_back},
        {"remove the scratch files", remove_scratch_files},
        {"remove the checkpoint", remove_checkpoint},
        {"settle the files", settle_files},
    };
    const struct undo undo = {.steps = steps, .count = ARRAY_SIZE(steps)};
    struct error failure = ERROR_INIT;
    if (record_is_empty(session->record))
        return 0;
    int r = undo_run(&undo, session, &failure);
    if (r == 0)
        r = record_end(session->record, &failure);
    if (r < 0)
        *err = failure;
    return r;
}
