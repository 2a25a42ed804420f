/* SPDX-License-Identifier: Apache-2.0 */
/* See save_settle.h. */
#include "domain/save_settle.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"
#include "domain/disk_fingerprint.h"
#include "domain/domain_run.h"
#include "domain/image_settle.h"
#include "domain/late_fingerprint.h"
#include "domain/pending_call.h"
#include "domain/restore_settle.h"
#include "domain/save_record.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/managed_save.h"

#define LOOK_MS 200

static const json_t *last_note(const struct session *session, const char *name)
{
    const json_t *all = record_all(session->record, name);
    return json_array_get(all, json_array_size(all) - 1);
}

/* What the memory is called until the end; NULL: libvirt keeps it. Borrowed. */
static const char *memory_of(const json_t *note)
{
    return json_string_member(json_object_get(note, "memory"), "partial");
}

/* `layers` is owned; NULL with a reason: nobody knows what the disks were. */
static json_t *pack_record(const struct session *session, const json_t *note, json_t *memory,
                           json_t *layers, const char *unknown)
{
    return json_pack("{s:i, s:s, s:O*, s:O*, s:o*, s:o, s:s*}", "version", 1, "uuid", session->uuid,
                     "name", json_object_get(note, "name"), "stopped_ms",
                     json_object_get(note, "stopped_ms"), "memory", memory, "layers",
                     layers ? layers : json_array(), "unknown", layers ? NULL : unknown);
}

static int write_record(struct session *session, const json_t *note, json_t *layers,
                        const char *unknown, struct error *err)
{
    json_t *memory = NULL;
    const char *file = memory_of(note);
    const char *path = json_string_member(json_object_get(note, "disks"), "partial");
    int r = file ? save_record_describe_memory(file, &memory, err)
                 : save_record_describe_kept(session, &memory, err);
    if (r < 0) {
        json_decref(layers);
        return r;
    }
    json_t *content = pack_record(session, note, memory, layers, unknown);
    r = save_record_write(path ? path : "", content, err);
    json_decref(content);
    failpoint("save:disks-written");
    return r < 0 ? r : record_note(session->record, "saved", json_true(), err);
}

/* What it is worth, SHA-256s among it, outlives a file that cannot be written. */
static void note_looked(struct session *session, const json_t *layers)
{
    struct error failure = ERROR_INIT;
    if (record_note(session->record, "looked", json_deep_copy(layers), &failure) < 0)
        log_debug("what the disks are is not noted: %s", failure.message);
}

int save_settle_keep(struct session *session, bool digest, const struct image_observer *observer,
                     struct error *err)
{
    const json_t *note = last_note(session, "save");
    json_t *layers = NULL;
    int r = disk_fingerprint_take(json_object_get(note, "layers"), digest, observer, &layers, err);
    if (r < 0)
        return r;
    note_looked(session, layers);
    return write_record(session, note, layers, NULL, err);
}

/* The guest is saved, by a command that did not come to its end. */
static int keep_late(struct session *session, const json_t *note, bool is_started,
                     struct error *err)
{
    char reason[LATE_FINGERPRINT_REASON_SIZE] = "the domain was started after it was saved";
    struct error failure = ERROR_INIT;
    json_t *layers = NULL;
    if (!is_started) {
        if (disk_fingerprint_take(json_object_get(note, "layers"), false, NULL, &layers, &failure) <
            0)
            (void)snprintf(reason, sizeof(reason), "%.500s", failure.message);
        else
            late_fingerprint_doubt(json_object_get(note, "layers"), layers, memory_of(note),
                                   reason);
    }
    text_make_whole(reason); /* it may be cut within a character, which no JSON takes */
    if (reason[0] != '\0') {
        json_decref(layers);
        layers = NULL;
        log_warning("the guest is saved, but what its disks were is not known: %s", reason);
    }
    return write_record(session, note, layers, reason, err);
}

/* A save that failed may have left it paused, and libvirt with a memory of before. */
static int let_go_on(const struct session *session, const json_t *note, struct error *err)
{
    int state = 0, reason = 0;
    int saved = virDomainHasManagedSaveImage(session->domain, 0);
    if (json_is_true(json_object_get(note, "is_managed")) && saved == 1 &&
        virDomainManagedSaveRemove(session->domain, 0) < 0)
        return libvirt_error(err, "cannot remove the saved memory of a guest that runs");
    if (virDomainGetState(session->domain, &state, &reason, 0) < 0)
        return libvirt_error(err, "cannot read the domain's state");
    if (!json_is_true(json_object_get(note, "is_running")) || state != VIR_DOMAIN_PAUSED ||
        (reason != VIR_DOMAIN_PAUSED_SAVE && reason != LIBVIRT_PAUSED_API_ERROR))
        return 0;
    return virDomainResume(session->domain) < 0
               ? libvirt_error(err, "cannot let the guest run again")
               : 0;
}

/* Anew, also one that is active: its guest may be another by now, and have another id. */
static int find_domain(struct session *session, bool *ret_active, struct error *err)
{
    cleanup_free_domain(&session->domain);
    session->domain = NULL;
    return libvirt_domain_find_again(session->driver->connection, session->uuid, &session->domain,
                                     ret_active, err);
}

static int is_whole(const struct session *session, const char *memory, bool *ret_is_whole,
                    struct error *err)
{
    if (memory)
        return save_record_memory_is_whole(memory, ret_is_whole, err);
    int saved = session->domain ? virDomainHasManagedSaveImage(session->domain, 0) : 0;
    if (saved < 0)
        return libvirt_error(err, "cannot read whether the guest is saved");
    *ret_is_whole = saved == 1;
    return 0;
}

/* The name is nobody else's: what can be read was written to its end, in time. */
static bool is_record_written(const json_t *note)
{
    struct error ignored = ERROR_INIT;
    json_t *content = NULL;
    const char *path = json_string_member(json_object_get(note, "disks"), "partial");
    bool is_written = path && save_record_read(path, &content, &ignored) == 0;
    json_decref(content);
    return is_written;
}

/* What is not whole, libvirt may still write to: the one that knows the domain says so. */
static int check_is_known(const struct session *session, const char *memory, struct error *err)
{
    if (session->domain || !memory || record_host_rebooted(session->record) ||
        (access(memory, F_OK) < 0 && errno == ENOENT))
        return 0;
    return error_set(
        err, EBUSY, EXC_INTERNAL_ERROR,
        "libvirt knows no such domain, and nobody can tell whether its memory is still "
        "being written to %s: remove that, if it is not",
        memory);
}

static int compare_run(const struct session *session, const json_t *note,
                       enum domain_run_likeness *ret_run, struct error *err)
{
    cleanup_run json_t *run = NULL;
    int r = session->domain ? domain_run_read(session, &run, err) : 0;
    if (r == 0)
        *ret_run = domain_run_compare(session->record, json_object_get(note, "run"), run);
    return r;
}

/* libvirtd goes on to save the guest of a client that has died, or is yet to begin with it. */
static int await_libvirt(struct session *session, const json_t *note, bool *ret_active,
                         enum domain_run_likeness *ret_run, struct error *err)
{
    uint64_t until_ms = pending_call_until_ms(session);
    for (;;) {
        bool may_come = clock_now_ms() < until_ms;
        int r = find_domain(session, ret_active, err);
        if (r == 0 && session->domain)
            r = managed_save_await(session->domain, session->driver->stall_timeout_s, err);
        if (r == 0)
            r = find_domain(session, ret_active, err);
        if (r == 0)
            r = compare_run(session, note, ret_run, err);
        if (r < 0 || !may_come || *ret_run == DOMAIN_RUN_OTHER)
            return r;
        (void)poll(NULL, 0, LOOK_MS);
    }
}

/* Written anew by what was seen, if that is known: a file that can be read may not be on disk, as
 * when its fsync() has failed. */
static int keep_record(struct session *session, const json_t *note, bool is_active,
                       struct error *err)
{
    const json_t *looked = last_note(session, "looked");
    if (looked)
        return write_record(session, note, json_deep_copy(looked), NULL, err);
    return is_record_written(note) ? record_note(session->record, "saved", json_true(), err)
                                   : keep_late(session, note, is_active, err);
}

/* It may have been for this: whose it is cannot be told. */
static void warn_of_pause(const struct session *session)
{
    int state = 0, reason = 0;
    if (virDomainGetState(session->domain, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED)
        log_warning("the guest is paused, and not known to be the one that was to be saved: it "
                    "stays so, `virsh resume` lets it go on");
}

static int decide(struct session *session, const json_t *note, struct error *err)
{
    bool is_active = false, whole = false;
    enum domain_run_likeness run = DOMAIN_RUN_UNKNOWN;
    int r = await_libvirt(session, note, &is_active, &run, err);
    if (r < 0)
        return r;
    if (run == DOMAIN_RUN_SAME)
        return let_go_on(session, note, err);
    if (run == DOMAIN_RUN_UNKNOWN)
        warn_of_pause(session);
    r = is_whole(session, memory_of(note), &whole, err);
    if (r < 0 || !whole)
        return r < 0 ? r : check_is_known(session, memory_of(note), err);
    log_warning("the guest is saved, by a command that did not come to its end: `domain restore` "
                "lets it go on");
    return keep_record(session, note, is_active, err);
}

/* The record of the disks first: no memory is without it. */
static int put_in_place(const struct session *session, const json_t *note, struct error *err)
{
    bool is_saved = record_all(session->record, "saved") != NULL;
    const json_t *memory = json_object_get(note, "memory");
    int r = image_settle(json_object_get(note, "disks"), is_saved, err);
    failpoint("save:disks-in-place");
    return r == 0 && memory ? image_settle(memory, is_saved, err) : r;
}

static int settle_save(struct session *session, struct error *err)
{
    const json_t *note = last_note(session, "save");
    int r = note && !record_all(session->record, "saved") ? decide(session, note, err) : 0;
    if (r < 0 || !note)
        return r;
    if (record_all(session->record, "saved"))
        session->outcome = "the guest is saved";
    return put_in_place(session, note, err);
}

int save_settle(struct session *session, struct error *err)
{
    int r = settle_save(session, err);
    return r < 0 ? r : restore_settle(session, err);
}
