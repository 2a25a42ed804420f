/* SPDX-License-Identifier: Apache-2.0 */
/* See restore_settle.h. */
#include "domain/restore_settle.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/disk_fingerprint.h"
#include "domain/pending_call.h"
#include "domain/save_record.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain.h"

#define LOOK_MS 200

static const json_t *last_note(const struct session *session, const char *name)
{
    const json_t *all = record_all(session->record, name);
    return json_array_get(all, json_array_size(all) - 1);
}

static void note_refused(struct session *session)
{
    struct error failure = ERROR_INIT;
    json_t *now_ns = json_integer((save_record_now_ms() + 1) * 1000000);
    if (record_note(session->record, "refused", now_ns, &failure) < 0)
        log_debug("that it was not started is not noted: %s", failure.message);
}

void restore_settle_refused(struct session *session)
{
    if (!session->domain ||
        !libvirt_connection_is_lost(session->driver->connection, session->domain))
        note_refused(session);
}

/* libvirt may have failed behind its client's back: it is over with that once the guest is found
 * not to run. One that was not asked has touched no disk; one that has answered with no refusal has
 * started the guest, and with the host that may have gone, too. */
static void note_late_refusal(struct session *session)
{
    const struct record *record = session->record;
    size_t calls = json_array_size(record_all(record, "begun"));
    if (json_array_size(record_all(record, "answered")) < calls && !record_all(record, "refused") &&
        !record_host_rebooted(record))
        note_refused(session);
}

/* The memory stays: it is only marked, where that can be. */
static void mark_used(const char *path)
{
    struct error failure = ERROR_INIT;
    json_t *content = NULL;
    int r = save_record_read(path, &content, &failure);
    if (r == 0 && json_object_set_new(content, "used_ms", json_integer(save_record_now_ms())) < 0)
        r = error_nomem(&failure);
    if (r == 0)
        r = save_record_replace(path, content, &failure);
    json_decref(content);
    if (r < 0)
        log_warning("the memory is not marked as used: %s", failure.message);
}

static int renew_record(const char *path, json_int_t refused_ns, struct error *err)
{
    json_t *content = NULL, *layers = NULL;
    int r = save_record_read(path, &content, err);
    if (r == 0)
        r = disk_fingerprint_renew(json_object_get(content, "layers"), refused_ns, &layers, err);
    if (r == 0 && json_object_set_new(content, "layers", layers) < 0)
        r = error_nomem(err);
    if (r == 0)
        r = save_record_replace(path, content, err);
    json_decref(content);
    return r;
}

/* Whatever was done to them later is told from it: libvirt had answered by then. */
static void keep_restorable(const struct session *session, const json_t *note, const char *path)
{
    struct error failure = ERROR_INIT;
    json_int_t refused_ns = json_integer_value(last_note(session, "refused"));
    if (!json_is_true(json_object_get(note, "is_checked")) || refused_ns == 0)
        return;
    if (renew_record(path, refused_ns, &failure) < 0)
        log_warning("the guest can be restored with --force or by the SHA-256 of its disks alone, "
                    "if it has them: %s",
                    failure.message);
}

/* libvirt leaves it so, and lets no two calls on the domain overtake each other; by a user, or for
 * an error of a disk, it is another pause. */
static bool is_pause_of_waking(int reason)
{
    return reason == VIR_DOMAIN_PAUSED_MIGRATION || reason == VIR_DOMAIN_PAUSED_STARTING_UP ||
           reason == VIR_DOMAIN_PAUSED_UNKNOWN || reason == LIBVIRT_PAUSED_API_ERROR;
}

int restore_settle_resume(struct session *session, struct error *err)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    struct error failure = ERROR_INIT;
    if (virDomainGetState(session->domain, &state, &reason, 0) < 0)
        return libvirt_error(err, "cannot read whether the guest runs");
    if (state != VIR_DOMAIN_PAUSED || !is_pause_of_waking(reason) ||
        virDomainResume(session->domain) == 0)
        return 0;
    (void)libvirt_error(&failure, "cannot let the guest run");
    /* It waits for a load of the memory to end, behind which libvirt itself lets the guest run. */
    if (virDomainGetState(session->domain, &state, NULL, 0) == 0 && state == VIR_DOMAIN_RUNNING)
        return 0;
    *err = failure;
    return -failure.errnum;
}

static int end_used(struct session *session, const json_t *note, struct error *err)
{
    const char *path = json_string_member(note, "disks");
    bool is_managed = json_is_true(json_object_get(note, "is_managed"));
    if (virDomainIsActive(session->domain) != 1)
        return libvirt_error(err, "cannot read whether the guest runs");
    int r =
        json_is_true(json_object_get(note, "is_to_run")) ? restore_settle_resume(session, err) : 0;
    if (r < 0)
        return r;
    session->outcome = "the guest goes on from its memory";
    if (path && path[0] != '\0' && !is_managed)
        mark_used(path);
    return !path || path[0] == '\0' || !is_managed || unlink(path) == 0 || errno == ENOENT
               ? 0
               : error_errno(err, errno, "cannot remove %s", path);
}

/* libvirtd goes on to start the guest of a client that has died, or is yet to begin with it. */
static int await_libvirt(struct session *session, bool *ret_active, struct error *err)
{
    uint64_t until_ms = pending_call_until_ms(session);
    for (;;) {
        bool may_come = clock_now_ms() < until_ms;
        int r = libvirt_domain_find_again(session->driver->connection, session->uuid,
                                          &session->domain, ret_active, err);
        if (r < 0 || *ret_active || !may_come)
            return r;
        (void)poll(NULL, 0, LOOK_MS);
    }
}

int restore_settle(struct session *session, struct error *err)
{
    bool is_active = false;
    const json_t *note = last_note(session, "restore");
    const char *path = json_string_member(note, "disks");
    if (!note)
        return 0;
    int r = await_libvirt(session, &is_active, err);
    if (r == 0 && is_active)
        return end_used(session, note, err);
    if (r < 0)
        return r;
    note_late_refusal(session);
    if (path && path[0] != '\0')
        keep_restorable(session, note, path);
    return 0;
}
