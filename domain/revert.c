/* SPDX-License-Identifier: Apache-2.0 */
/* See revert.h. */
#include "domain/revert.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdio.h>

#include "common/cleanup.h"
#include "common/secret.h"
#include "domain/checkpoint_delete.h"
#include "domain/checkpoint_name.h"
#include "domain/leftover.h"
#include "domain/merge_check.h"
#include "domain/nova_guest.h"
#include "domain/revert_int.h"
#include "domain/saved_file.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain.h"

static int read_point(const struct session *session, const char *name,
                      struct revert_point *ret_point, struct error *err)
{
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(session->domain, name, 0);
    if (!snapshot && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_SNAPSHOT)
        return error_set(err, ENOENT, EXC_INTERNAL_ERROR,
                         "the domain has no checkpoint %s: see `nova-snapshot domain checkpoints`",
                         name);
    if (!snapshot)
        return libvirt_error(err, "cannot look for checkpoint %s", name);
    char *xml = virDomainSnapshotGetXMLDesc(snapshot, VIR_DOMAIN_SNAPSHOT_XML_SECURE);
    (void)virDomainSnapshotFree(snapshot);
    int r = xml ? revert_point_parse(xml, ret_point, err)
                : libvirt_error(err, "cannot read checkpoint %s", name);
    secret_free(xml);
    return r < 0 ? error_prepend(err, "checkpoint %s cannot be gone back to", name) : 0;
}

/* Nova would be left with disks that nobody can make its own again. */
static int check_owner(const struct session *session, const struct revert_point *point,
                       const struct revert_request *request, struct error *err)
{
    cleanup_free char *xml = NULL;
    if (point->is_internal || request->force)
        return 0;
    int r = libvirt_domain_xml(session->domain, &xml, err);
    return r < 0 ? r : nova_guest_refuse_revert(xml, err);
}

/* What would keep revert_discard() from its work: to an internal one nothing is kept. */
static int check_discard(const struct session *session, const struct revert_point *point,
                         const struct revert_request *request, struct error *err)
{
    if (!request->discard || point->is_internal)
        return 0;
    int r = merge_check_domain(session, err);
    return r < 0 ? error_prepend(err, "what is left behind could not be removed (--discard)") : 0;
}

int revert_name_left(const struct session *session, struct revert_report *report, struct error *err)
{
    char stamp[CHECKPOINT_STAMP_SIZE] = "";
    int r = checkpoint_name_stamp(session->domain, CHECKPOINT_LEFT, stamp, err);
    if (r == 0)
        (void)snprintf(report->left, sizeof(report->left), CHECKPOINT_LEFT "%s", stamp);
    return r;
}

const char *revert_state_of(const struct revert_point *point, const struct revert_request *request)
{
    bool has_guest = point->has_memory; /* without it, it would be started anew */
    if (request->running || (has_guest && point->was_running && !request->paused))
        return "running";
    return request->paused || (has_guest && point->was_paused) ? "paused" : "shut off";
}

/* All that an earlier command has left, but for a way to that very checkpoint. */
static int undo_earlier(struct session *session, const struct revert_request *request,
                        struct error *err)
{
    struct error failure = ERROR_INIT;
    int r = leftover_undo_earlier(session, &failure);
    if (r == -EBUSY && revert_internal_is_again(session, request))
        return 0;
    if (r < 0)
        *err = failure;
    return r;
}

/* What became of the files is known by nothing but that way. */
static int check_again(const struct session *session, const struct revert_point *point,
                       struct error *err)
{
    return point->is_internal || !record_all(session->record, "internal")
               ? 0
               : error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                           "checkpoint %s is not the one inside the disks' files that the domain "
                           "was to go back to",
                           point->name);
}

int revert_run(struct session *session, const struct revert_request *request,
               struct revert_report *ret_report, struct error *err)
{
    struct revert_point point = {0};
    struct error failure = ERROR_INIT, left = ERROR_INIT;
    *ret_report = (struct revert_report){0};
    int r = undo_earlier(session, request, err);
    session->outcome = NULL;
    if (r == 0)
        r = session_need_domain(session, err);
    if (r == 0)
        r = saved_file_check(session, request->force, err);
    if (r == 0)
        r = read_point(session, request->name, &point, err);
    if (r == 0)
        r = check_again(session, &point, err);
    if (r == 0)
        r = check_owner(session, &point, request, err);
    if (r == 0)
        r = check_discard(session, &point, request, err);
    if (r == 0) {
        ret_report->state = revert_state_of(&point, request);
        if (point.is_internal)
            (void)revert_internal(session, &point, request, ret_report, &failure);
        else
            (void)revert_external(session, &point, ret_report, &failure);
        if (leftover_undo(session, &left) < 0)
            error_join(&failure, &left);
        else if (failure.errnum != 0 && session->outcome) /* it came to that behind the failure */
            (void)error_append(&failure, "; now: %s", session->outcome);
        if (failure.errnum != 0)
            *err = failure;
        r = -failure.errnum;
    }
    revert_point_done(&point);
    return r;
}

int revert_discard(struct session *session, const struct revert_report *report, json_t **ret_done,
                   struct error *err)
{
    if (report->left[0] == '\0') {
        *ret_done = json_array();
        return *ret_done ? 0 : error_nomem(err);
    }
    /* A guest that was saved to a file was asked about before. */
    const struct delete_request request = {.name = report->left, .force = true};
    return checkpoint_delete(session, &request, ret_done, err);
}
