/* SPDX-License-Identifier: Apache-2.0 */
/* See leftover.h. */
#include "domain/leftover.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/bitmap_checkpoint.h"
#include "domain/checkpoint_settle.h"
#include "domain/deletion_settle.h"
#include "domain/image_settle.h"
#include "domain/revert_settle.h"
#include "domain/save_settle.h"
#include "domain/saved_file.h"
#include "driver/image/staging.h"
#include "driver/snapshot/recover.h"
#include "driver/undo.h"

struct leftover {
    struct session *session;
    struct error deferred; /* what QEMU alone could do, of a domain that does not run */
};

static bool is_complete(const struct session *session)
{
    return record_all(session->record, "complete") != NULL;
}

static int bring_guest_back(void *op, struct error *err)
{
    const struct leftover *leftover = op;
    struct session *session = leftover->session;
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

static int settle_checkpoint(void *op, struct error *err)
{
    const struct leftover *leftover = op;
    int r = checkpoint_settle(leftover->session, err);
    if (r == 0)
        r = revert_settle(leftover->session, err);
    if (r < 0)
        revert_settle_release(leftover->session);
    return r;
}

static int go_on_with_deletion(void *op, struct error *err)
{
    const struct leftover *leftover = op;
    return deletion_settle(leftover->session, err);
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
    const struct leftover *leftover = op;
    const struct session *session = leftover->session;
    size_t i;
    const json_t *note;
    int r = 0;
    json_array_foreach (record_all(session->record, "scratch"), i, note) {
        if (remove_scratch_file(session, note, err) < 0)
            r = -err->errnum;
    }
    return r;
}

static int remove_checkpoints(struct leftover *leftover, const char *note_name, struct error *err)
{
    const struct session *session = leftover->session;
    size_t i;
    const json_t *note;
    int result = 0;
    json_array_foreach (record_all(session->record, note_name), i, note) {
        struct error failure = ERROR_INIT;
        const char *name = json_string_member(note, "name"), *id = json_string_member(note, "id");
        int r = name && id ? bitmap_checkpoint_remove(session, name, id, &failure) : 0;
        if (r == -EAGAIN) {
            leftover->deferred = failure;
        } else if (r < 0) {
            *err = failure;
            result = r;
        }
    }
    return result;
}

static int remove_abandoned(void *op, struct error *err)
{
    return remove_checkpoints(op, "abandoned", err);
}

static int remove_checkpoint(void *op, struct error *err)
{
    const struct leftover *leftover = op;
    return is_complete(leftover->session) ? 0 : remove_checkpoints(op, "checkpoint", err);
}

static int settle_files(void *op, struct error *err)
{
    const struct leftover *leftover = op;
    const struct session *session = leftover->session;
    size_t i;
    const json_t *note;
    int r = 0;
    json_array_foreach (record_all(session->record, "file"), i, note) {
        if (image_settle(note, is_complete(session), err) < 0)
            r = -err->errnum;
        failpoint("domain:file-settled");
    }
    return r;
}

static int settle_saved(void *op, struct error *err)
{
    const struct leftover *leftover = op;
    int r = save_settle(leftover->session, err);
    return r < 0 ? r : saved_file_settle(leftover->session, err);
}

/* Notes of what is still to be done when all else is. */
static json_t *what_is_left(const struct leftover *leftover, bool with_folder)
{
    const struct record *record = leftover->session->record;
    json_t *abandoned = record_all(record, "abandoned");
    json_t *checkpoints = abandoned ? json_copy(abandoned) : json_array();
    if (leftover->deferred.errnum == 0)
        (void)json_array_clear(checkpoints);
    else if (!is_complete(leftover->session) && record_all(record, "checkpoint"))
        (void)json_array_extend(checkpoints, record_all(record, "checkpoint"));
    return json_pack("{s:O*, s:O*, s:o}", "domain", record_all(record, "domain"), "folder",
                     with_folder ? record_all(record, "folder") : NULL, "abandoned", checkpoints);
}

/* Without it nobody could tell whether the images in it had gone: that they have is noted first.
 * One that somebody has put something into is his. */
static int remove_folder(const struct leftover *leftover, struct error *err)
{
    struct record *record = leftover->session->record;
    const json_t *note = json_array_get(record_all(record, "folder"), 0);
    const char *of_note = json_string_member(note, "path");
    if (!of_note || is_complete(leftover->session))
        return 0;
    cleanup_free char *path = strdup(of_note); /* the note goes */
    if (!path)
        return error_nomem(err);
    int r = record_restart(record, what_is_left(leftover, true), err);
    if (r < 0 || rmdir(path) == 0 || errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST)
        return r;
    return error_errno(err, errno, "cannot remove %s", path);
}

/* What only a running domain lets go of is kept, for the next time. */
static int end_record(const struct leftover *leftover, struct error *err)
{
    struct record *record = leftover->session->record;
    if (leftover->deferred.errnum == 0)
        return record_end(record, err);
    int r = record_restart(record, what_is_left(leftover, false), err);
    if (r == 0)
        log_warning("%s; then the next `domain recover` or `domain image` removes it",
                    leftover->deferred.message);
    return r;
}

int leftover_undo(struct session *session, struct error *err)
{
    static const struct undo_step steps[] = {
        {"bring the guest back", bring_guest_back},
        {"settle a checkpoint with a way back, and that way", settle_checkpoint},
        {"go on with the deletion of a checkpoint", go_on_with_deletion},
        {"remove the scratch files", remove_scratch_files},
        {"remove the checkpoint", remove_checkpoint},
        {"remove checkpoints of before", remove_abandoned},
        {"settle the files", settle_files},
        {"end a save or a restore", settle_saved},
    };
    const struct undo undo = {.steps = steps, .count = ARRAY_SIZE(steps)};
    struct leftover leftover = {session, ERROR_INIT};
    struct error failure = ERROR_INIT;
    if (record_is_empty(session->record))
        return 0;
    int r = undo_run(&undo, &leftover, &failure);
    if (r == 0)
        r = remove_folder(&leftover, &failure);
    if (r == 0)
        r = end_record(&leftover, &failure);
    if (r < 0)
        *err = failure;
    return r;
}

int leftover_undo_earlier(struct session *session, struct error *err)
{
    int r = leftover_undo(session, err);
    return r < 0 ? error_prepend(err,
                                 "what an earlier command has left on the domain cannot be undone, "
                                 "the next one will try again, unless %s is removed, which tells "
                                 "of it",
                                 record_path(session->record))
                 : 0;
}
