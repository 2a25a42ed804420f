/* SPDX-License-Identifier: Apache-2.0 */
/* To an internal checkpoint: libvirt does it. See revert.h, revert_int.h. */
/* Names begin with revert_. */
#include <errno.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/checkpoint_name.h"
#include "domain/checkpoint_take.h"
#include "domain/domain_run.h"
#include "domain/pending_call.h"
#include "domain/revert_hold.h"
#include "domain/revert_int.h"
#include "domain/revert_layers.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain.h"

static bool is_noted(const struct session *session, const char *name)
{
    return record_all(session->record, name) != NULL;
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

/* `end` is noted when it is there. */
static int call_libvirt(struct session *session, const char *name, const char *state,
                        const char *end, struct error *err)
{
    unsigned flags = strcmp(state, "running") == 0  ? VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING
                     : strcmp(state, "paused") == 0 ? VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED
                                                    : 0;
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(session->domain, name, 0);
    if (!snapshot)
        return libvirt_error(err, "cannot look for checkpoint %s", name);
    int r = pending_call_begin(session, err);
    failpoint("revert:internal-begun");
    if (r == 0 && virDomainRevertToSnapshot(snapshot, flags) < 0) {
        int code = virGetLastErrorCode();
        r = libvirt_error(err, "libvirt does not go back to checkpoint %s", name);
        pending_call_failed(session);
        note_refusal(session, code);
    }
    (void)virDomainSnapshotFree(snapshot);
    failpoint("revert:internal");
    if (r == 0)
        r = record_note(session->record, end, json_true(), err);
    return r < 0 ? r : pending_call_answered(session, err);
}

/* The files are the guest's own, then and now; as they are before the first try. */
static int note_files(const struct session *session, const struct revert_point *point,
                      struct error *err)
{
    if (is_noted(session, "layers"))
        return 0;
    struct checkpoint_disk *disks = calloc(point->disk_count + 1, sizeof(*disks));
    if (!disks)
        return error_nomem(err);
    for (size_t i = 0; i < point->disk_count; i++)
        (void)snprintf(disks[i].overlay, sizeof(disks[i].overlay), "%s", point->disks[i].base);
    int r = revert_layers_note(session, disks, point->disk_count, err);
    free(disks);
    return r;
}

static int note_internal(struct session *session, const struct revert_point *point,
                         const char *name, struct error *err)
{
    cleanup_run json_t *run = NULL;
    char current[CHECKPOINT_NAME_SIZE];
    json_int_t asked = (json_int_t)json_array_size(record_all(session->record, "begun"));
    int r = domain_run_read(session, &run, err);
    if (r == 0)
        r = session_note_domain(session, err);
    if (r == 0)
        r = note_files(session, point, err);
    if (r < 0)
        return r;
    r = checkpoint_name_current(session->domain, current, err);
    return r < 0 ? r
                 : record_note(session->record, "internal",
                               json_pack("{s:s, s:O, s:I, s:s}", "name", name, "run", run, "asked",
                                         asked, "current", current),
                               err);
}

static int go_to(struct session *session, const struct revert_point *point, const char *name,
                 const char *state, const char *end, struct error *err)
{
    bool is_active = false;
    int r = libvirt_domain_find_again(session->driver->connection, session->uuid, &session->domain,
                                      &is_active, err);
    if (r == 0 && !session->domain)
        r = error_set(err, ENOENT, EXC_INSTANCE_NOT_FOUND, "libvirt knows the domain no more");
    if (r == 0)
        r = note_internal(session, point, name, err);
    return r < 0 ? r : call_libvirt(session, name, state, end, err);
}

static int note_begin(struct session *session, const struct revert_point *point,
                      const struct checkpoint_plan *left, struct error *err)
{
    cleanup_run json_t *run = NULL;
    int r = domain_run_read(session, &run, err);
    if (r == 0)
        r = session_note_domain(session, err);
    if (r == 0)
        r = record_note(session->record, "revert",
                        json_pack("{s:{s:s}, s:b, s:O}", "to", "current", point->name,
                                  "was_running", left->is_running, "run", run),
                        err);
    failpoint("revert:written-down");
    return r;
}

/* Keeps what is now; the guest stays as it is then. */
static int leave(struct session *session, const struct revert_point *point,
                 const struct checkpoint_request *request, struct checkpoint_report *left,
                 struct error *err)
{
    int r = note_begin(session, point, &left->plan, err);
    if (r == 0)
        r = revert_hold_begin(session, &left->plan, err);
    if (r == 0)
        r = checkpoint_take_make(session, request, left, err);
    if (r == 0)
        r = pending_call_answered(session, err);
    failpoint("revert:left-kept");
    return r;
}

/* Where libvirt has answered, and come some way, all of now is still kept. */
static int come_back(struct session *session, const struct revert_point *point, const char *left,
                     const char *state, struct error *err)
{
    struct error failure = ERROR_INIT;
    if (!is_noted(session, "internal") || is_noted(session, "entered") ||
        is_noted(session, "returned") || pending_call_until_ms(session) != 0)
        return -err->errnum;
    if (go_to(session, point, left, state, "returned", &failure) < 0)
        return error_append(err, "; nor back to where it was: %s", failure.message);
    return error_prepend(err, "the domain is where it was again");
}

static int go_and_keep(struct session *session, const struct revert_point *point, bool force,
                       struct revert_report *report, struct error *err)
{
    struct checkpoint_report left = {0};
    int r = revert_name_left(session, report, err);
    if (r < 0)
        return r;
    const struct checkpoint_request request = {
        .name = report->left, .internal = true, .force = force};
    r = checkpoint_take_prepare(session, &request, &left.plan, err);
    const char *state = left.plan.is_running ? "running" : left.plan.runs ? "paused" : "shut off";
    if (r == 0)
        r = leave(session, point, &request, &left, err);
    checkpoint_take_done(&left);
    if (r < 0) {
        (void)error_append(err, "; --discard goes back without keeping what is now");
        return error_prepend(err, "what is now cannot be kept");
    }
    r = go_to(session, point, point->name, report->state, "entered", err);
    return r < 0 ? come_back(session, point, report->left, state, err) : 0;
}

/* What an earlier try has kept is left behind, unless it is to be gone to. */
static void read_left(const struct session *session, const struct revert_point *point,
                      struct revert_report *report)
{
    const json_t *note = json_array_get(record_all(session->record, "snapshot"), 0);
    const char *name = json_string_member(note, "name");
    if (name && strcmp(name, point->name) != 0)
        (void)snprintf(report->left, sizeof(report->left), "%s", name);
}

int revert_internal(struct session *session, const struct revert_point *point,
                    const struct revert_request *request, struct revert_report *report,
                    struct error *err)
{
    bool is_again = is_noted(session, "internal"); /* what is now may be half of then */
    int r = revert_internal_check(session, point, err);
    if (r < 0)
        return r;
    if (!is_again && !request->discard)
        return go_and_keep(session, point, request->force, report, err);
    if (is_again)
        read_left(session, point, report);
    return go_to(session, point, point->name, report->state, "entered", err);
}

static bool is_name(const json_t *notes, const char *name)
{
    size_t i;
    const json_t *note;
    json_array_foreach (notes, i, note) {
        const char *noted = json_string_member(note, "name");
        if (noted && strcmp(noted, name) == 0)
            return true;
    }
    return false;
}

bool revert_internal_is_again(const struct session *session, const struct revert_request *request)
{
    const json_t *tries = record_all(session->record, "internal");
    return request->force && tries &&
           (is_name(tries, request->name) ||
            is_name(record_all(session->record, "snapshot"), request->name));
}
