/* SPDX-License-Identifier: Apache-2.0 */
/* See checkpoint_settle.h. */
#include "domain/checkpoint_settle.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/file_folder.h"
#include "domain/layer_map.h"
#include "domain/new_layer.h"
#include "domain/pending_call.h"
#include "domain/unnamed_layer.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/guest_freeze.h"

#define LIBVIRT_TIMEOUT_MS 600000
#define LOOK_MS 200

static int note_disks(const struct checkpoint_plan *plan, json_t *disks, struct error *err)
{
    json_int_t folder = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && !plan->is_internal && i < plan->disk_count; i++) {
        const struct checkpoint_disk *disk = &plan->disks[i];
        r = file_folder_note(disk->overlay, &folder, err);
        json_t *noted = json_pack("{s:s, s:s, s:s, s:I}", "target", disk->target, "base",
                                  disk->base, "overlay", disk->overlay, "folder", folder);
        if (json_array_append_new(disks, noted) < 0 && r == 0)
            r = error_nomem(err);
    }
    return r;
}

int checkpoint_settle_note(const struct session *session, const struct checkpoint_plan *plan,
                           const struct checkpoint_request *request, json_t **ret_note,
                           struct error *err)
{
    const char *memory = plan->memory_file[0] != '\0' ? plan->memory_file : NULL;
    json_int_t folder = 0;
    json_t *disks = json_array();
    int r = note_disks(plan, disks, err);
    if (r == 0 && memory)
        r = file_folder_note(memory, &folder, err);
    json_t *note =
        json_pack("{s:s, s:I, s:b, s:b, s:b, s:s*, s:I, s:o}", "name", plan->name, "asked",
                  (json_int_t)json_array_size(record_all(session->record, "begun")), "was_running",
                  plan->is_running, "halts", request->halt, "quiesce", request->quiesce, "memory",
                  memory, "memory_folder", folder, "disks", disks);
    if (r == 0 && !note)
        r = error_nomem(err);
    if (r < 0) {
        json_decref(note);
        return r;
    }
    *ret_note = note;
    return 0;
}

static bool says(const json_t *note, const char *key)
{
    return json_is_true(json_object_get(note, key));
}

/* libvirt answers when its work is done: what it is at holds the domain's lock. */
static int has_job(virDomainPtr domain, bool *ret_has, struct error *err)
{
    virDomainJobInfo job = {0};
    int r = virDomainGetJobInfo(domain, &job);
    int code = r < 0 ? virGetLastErrorCode() : VIR_ERR_OK;
    if (r < 0 && code != VIR_ERR_OPERATION_INVALID && code != VIR_ERR_OPERATION_TIMEOUT)
        return libvirt_error(err, "cannot read what libvirt is at");
    *ret_has = r < 0 ? code == VIR_ERR_OPERATION_TIMEOUT /* it is invalid where none runs */
                     : job.type != VIR_DOMAIN_JOB_NONE;
    return 0;
}

static bool is_there(virDomainPtr domain, const char *name)
{
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(domain, name, 0);
    if (snapshot)
        (void)virDomainSnapshotFree(snapshot);
    return snapshot != NULL;
}

/* The job is asked for last: there is a checkpoint also while it is made. */
static int await_libvirt(const struct session *session, virDomainPtr domain, const json_t *note,
                         struct error *err)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    const char *name = json_string_member(note, "name");
    uint64_t until_ms = pending_call_until_ms(session);
    uint64_t deadline_ms = clock_now_ms() + LIBVIRT_TIMEOUT_MS;
    while (clock_now_ms() < deadline_ms) {
        bool is_busy = false;
        bool may_come = clock_now_ms() < until_ms && !is_there(domain, name ? name : "");
        int r = has_job(domain, &is_busy, err);
        if (r < 0 || (!is_busy && !may_come))
            return r;
        (void)nanosleep(&pause, NULL);
    }
    return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                     "libvirt is still at a job of the domain: wait for it, or end it with `virsh "
                     "domjobabort`");
}

/* It was thawed before: if it is frozen now, it was for this. */
static int thaw(const struct session *session, virDomainPtr domain, struct error *err)
{
    struct guest_freeze freeze = {.connection = session->driver->connection,
                                  .timeout_s = session->driver->freeze_timeout_s};
    return guest_freeze_end_left(&freeze, domain, err);
}

/* One that was stopped for this, and not by a user since; API_ERROR: libvirt could not let it run.
 */
static int resume(virDomainPtr domain, struct error *err)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    if (virDomainGetState(domain, &state, &reason, 0) < 0)
        return libvirt_error(err, "cannot read whether the guest stands still");
    bool is_ours = reason == VIR_DOMAIN_PAUSED_SNAPSHOT || reason == VIR_DOMAIN_PAUSED_SAVE ||
                   reason == VIR_DOMAIN_PAUSED_MIGRATION || reason == LIBVIRT_PAUSED_API_ERROR;
    if (state != VIR_DOMAIN_PAUSED || !is_ours)
        return 0;
    return virDomainResume(domain) < 0 ? libvirt_error(err, "cannot let the guest go on") : 0;
}

/* It was made: libvirt has thawed the guest, and a freeze of now is somebody else's. */
static void release_agent(const struct session *session, virDomainPtr domain, const json_t *note)
{
    struct guest_freeze freeze = {.connection = session->driver->connection, .limited = true};
    struct error failure = ERROR_INIT;
    if (says(note, "quiesce") && guest_freeze_release_agent(&freeze, domain, &failure) < 0)
        log_warning("%s", failure.message);
}

static int bring_guest_back(const struct session *session, virDomainPtr domain, const json_t *note,
                            struct error *err)
{
    int r = says(note, "quiesce") ? thaw(session, domain, err) : 0;
    if (r == 0 && says(note, "was_running") && !says(note, "halts"))
        r = resume(domain, err);
    return r;
}

/* libvirt makes the files of a stopped domain root's, for all to read. */
static int give_overlay(const json_t *disk, struct error *err)
{
    const char *base = json_string_member(disk, "base");
    const char *path = json_string_member(disk, "overlay");
    return path && base ? new_layer_give_owner(path, base, err) : 0;
}

/* What was made stays, whatever the command came to. */
static int keep(const struct session *session, const json_t *note, bool is_active,
                struct error *err)
{
    size_t i;
    const json_t *disk;
    int r = 0;
    json_array_foreach (json_object_get(note, "disks"), i, disk) {
        if (!is_active && r == 0)
            r = give_overlay(disk, err);
    }
    if (r == 0 && !record_all(session->record, "made"))
        log_warning("checkpoint %s was made all the same: it stays",
                    json_string_member(note, "name"));
    return r;
}

static int remove_overlay(const struct layer_map *map, const json_t *disk, struct error *err)
{
    const char *path = json_string_member(disk, "overlay");
    const char *base = json_string_member(disk, "base");
    return path && base ? new_layer_remove(map, path, base, json_object_get(disk, "folder"), err)
                        : 0;
}

/* All of them, or none. */
static int remove_files(const struct session *session, virDomainPtr domain, const json_t *note,
                        struct error *err)
{
    cleanup_layer_map struct layer_map map = {0};
    const char *memory = json_string_member(note, "memory");
    size_t i;
    const json_t *disk;
    int r = layer_map_read(session, &map, err);
    if (r == 0)
        r = unnamed_layer_check(domain, &map, json_object_get(note, "disks"), err);
    json_array_foreach (json_object_get(note, "disks"), i, disk) {
        if (r == 0)
            r = remove_overlay(&map, disk, err);
    }
    return r < 0 || !memory
               ? r
               : new_layer_remove_file(&map, memory, json_object_get(note, "memory_folder"), err);
}

static int settle_files(const struct session *session, virDomainPtr domain, bool is_active,
                        const json_t *note, struct error *err)
{
    const char *name = json_string_member(note, "name");
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(domain, name ? name : "", 0);
    if (snapshot) {
        (void)virDomainSnapshotFree(snapshot);
        return keep(session, note, is_active, err);
    }
    if (virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_SNAPSHOT)
        return libvirt_error(err, "cannot look for checkpoint %s", name ? name : "");
    if (!record_all(session->record, "made"))
        return remove_files(session, domain, note, err);
    log_warning("checkpoint %s has been deleted since it was made: its files stay", name);
    return 0;
}

/* libvirt was asked for nothing: a file with something in it is somebody else's. */
static int remove_reserved(const json_t *note, struct error *err)
{
    struct stat st;
    const char *memory = json_string_member(note, "memory");
    if (!memory || lstat(memory, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > 0)
        return 0;
    return unlink(memory) == 0 || errno == ENOENT
               ? 0
               : error_errno(err, errno, "cannot remove %s", memory);
}

/* For it, and not for another thing before. */
static bool is_asked_for(const struct session *session, const json_t *note)
{
    json_int_t before = json_integer_value(json_object_get(note, "asked"));
    return (json_int_t)json_array_size(record_all(session->record, "begun")) > before;
}

int checkpoint_settle(struct session *session, struct error *err)
{
    bool is_active = false;
    cleanup_domain virDomainPtr domain = NULL;
    const json_t *note = json_array_get(record_all(session->record, "snapshot"), 0);
    if (!note || record_all(session->record, "unreserved"))
        return 0;
    int r = libvirt_domain_find_again(session->driver->connection, session->uuid, &domain,
                                      &is_active, err);
    if (r == 0 && !domain) {
        log_warning("the domain has gone: the files of checkpoint %s stay",
                    json_string_member(note, "name"));
        session->outcome = SESSION_GONE;
        return 0;
    }
    if (r == 0 && !is_asked_for(session, note))
        return remove_reserved(note, err);
    bool is_made = record_all(session->record, "made") != NULL;
    if (r == 0 && !is_made)
        r = await_libvirt(session, domain, note, err);
    failpoint("checkpoint:libvirt-is-done");
    bool is_running = r == 0 && is_active && virDomainIsActive(domain) == 1;
    if (is_running && is_made)
        release_agent(session, domain, note);
    else if (is_running)
        r = bring_guest_back(session, domain, note, err);
    return r < 0 ? r : settle_files(session, domain, is_active, note, err);
}
