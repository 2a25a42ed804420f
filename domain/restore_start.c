/* SPDX-License-Identifier: Apache-2.0 */
/* A guest is started from its saved memory, by libvirt. */
#include <errno.h>

#include "common/failpoint.h"
#include "domain/pending_call.h"
#include "domain/restore_int.h"
#include "domain/restore_settle.h"
#include "domain/save_record.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/managed_save.h"

/* libvirt boots it where the memory has gone since it was looked at, or is of no use to it. */
static int check_goes_on(virDomainPtr domain, bool paused, struct error *err)
{
    int state = 0, reason = 0;
    if (virDomainGetState(domain, &state, &reason, 0) < 0)
        return libvirt_error(err, "cannot read whether the guest goes on");
    bool is_booted = paused ? state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_USER
                            : state == VIR_DOMAIN_RUNNING && reason == VIR_DOMAIN_RUNNING_BOOTED;
    return is_booted ? error_set(err, EIO, EXC_INTERNAL_ERROR,
                                 "libvirt has started the guest anew: its saved memory had gone "
                                 "meanwhile, or was of no use")
                     : 0;
}

static int start_managed(const struct restoring *restoring, struct error *err)
{
    virDomainPtr domain = restoring->session->domain;
    bool paused = restoring->request->flags & VIR_DOMAIN_SAVE_PAUSED;
    if (virDomainCreateWithFlags(domain, paused ? VIR_DOMAIN_START_PAUSED : 0) < 0)
        return libvirt_error(err, "cannot start the guest from its saved memory, which stays");
    failpoint("restore:created");
    return check_goes_on(domain, paused, err);
}

static int start_from_file(const struct restoring *restoring, struct error *err)
{
    cleanup_conn virConnectPtr conn = NULL;
    const struct restore_request *request = restoring->request;
    int r = libvirt_connection_get(restoring->session->driver->connection, 0, &conn, err);
    if (r == 0 && virDomainRestoreFlags(conn, request->file, NULL, request->flags) < 0)
        r = libvirt_error(err, "cannot start the guest from its saved memory, which stays");
    return r;
}

/* libvirt has no flag for it, of a memory that it keeps. */
static bool resumes(const struct restore_request *request)
{
    return !request->file && request->flags & VIR_DOMAIN_SAVE_RUNNING;
}

/* libvirt lets it run last of all: one that dies before leaves it paused. */
bool restore_start_is_to_run(const struct restoring *restoring)
{
    char kept[PATH_MAX];
    const struct restore_request *request = restoring->request;
    if (request->flags & (VIR_DOMAIN_SAVE_RUNNING | VIR_DOMAIN_SAVE_PAUSED))
        return request->flags & VIR_DOMAIN_SAVE_RUNNING;
    if (request->file)
        return save_record_memory_was_running(request->file);
    return managed_save_file(restoring->session->domain, kept) &&
           save_record_memory_was_running(kept);
}

int restore_start(const struct restoring *restoring, struct error *err)
{
    struct session *session = restoring->session;
    bool is_managed = !restoring->request->file;
    int r = pending_call_begin(session, err);
    if (r < 0)
        return r;
    r = is_managed ? start_managed(restoring, err) : start_from_file(restoring, err);
    if (r < 0) {
        pending_call_failed(session);
        restore_settle_refused(session);
        return r;
    }
    r = pending_call_answered(session, err);
    return r < 0 || !resumes(restoring->request) ? r : restore_settle_resume(session, err);
}
