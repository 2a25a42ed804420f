/* SPDX-License-Identifier: Apache-2.0 */
/* See revert_hold.h. */
#include "domain/revert_hold.h"

#include <jansson.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/domain_run.h"
#include "domain/pending_call.h"
#include "driver/libvirt/domain.h"

int revert_hold_begin(struct session *session, struct checkpoint_plan *left, struct error *err)
{
    if (!left->is_running)
        return 0;
    int r = record_note(session->record, "suspend", json_true(), err);
    if (r == 0)
        r = pending_call_begin(session, err);
    if (r < 0)
        return r;
    if (virDomainSuspend(session->domain) < 0) {
        r = libvirt_error(err, "cannot pause the guest");
        pending_call_failed(session);
        return r;
    }
    left->is_running = false;
    r = pending_call_answered(session, err);
    failpoint("revert:suspended");
    return r;
}

static const json_t *reversal(const struct session *session)
{
    return json_array_get(record_all(session->record, "revert"), 0);
}

static bool is_noted(const struct session *session)
{
    return record_all(session->record, "suspend") != NULL;
}

/* By the command, or by libvirt for its checkpoint, also where it could not let the guest run
 * again; libvirtd started anew knows no reason. An error of a disk is one of a guest that went on.
 */
static bool is_pause_of_ours(int reason)
{
    return reason == VIR_DOMAIN_PAUSED_USER || reason == VIR_DOMAIN_PAUSED_UNKNOWN ||
           reason == VIR_DOMAIN_PAUSED_SNAPSHOT || reason == VIR_DOMAIN_PAUSED_SAVE ||
           reason == VIR_DOMAIN_PAUSED_MIGRATION || reason == LIBVIRT_PAUSED_API_ERROR;
}

static int look(const struct session *session, bool *ret_lasts, struct error *err)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    cleanup_run json_t *run = NULL;
    if (virDomainGetState(session->domain, &state, &reason, 0) < 0)
        return libvirt_error(err, "cannot read whether the guest is paused");
    int r = domain_run_read(session, &run, err);
    if (r < 0)
        return r;
    *ret_lasts = state == VIR_DOMAIN_PAUSED && is_pause_of_ours(reason) &&
                 domain_run_compare(session->record, json_object_get(reversal(session), "run"),
                                    run) == DOMAIN_RUN_SAME;
    return 0;
}

bool revert_hold_lasts(const struct session *session)
{
    struct error ignored = ERROR_INIT;
    bool lasts = false;
    return session->domain && look(session, &lasts, &ignored) == 0 && lasts;
}

int revert_hold_end(const struct session *session, struct error *err)
{
    bool was_running = json_is_true(json_object_get(reversal(session), "was_running"));
    bool lasts = false;
    if (!was_running || !is_noted(session) || !session->domain)
        return 0;
    int r = look(session, &lasts, err);
    if (r == 0 && lasts && virDomainResume(session->domain) < 0)
        r = libvirt_error(err, "cannot let the guest go on");
    return r;
}

void revert_hold_warn(const struct session *session)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    if (is_noted(session) && virDomainGetState(session->domain, &state, &reason, 0) == 0 &&
        state == VIR_DOMAIN_PAUSED)
        log_warning("the guest is paused, and not known to be the one that was paused for this: it "
                    "stays so, `virsh resume` lets it go on");
}
