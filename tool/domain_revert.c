/* SPDX-License-Identifier: Apache-2.0 */
/* The command `domain revert`. See domain.h. */
/* Names begin with domain_. */
#include <jansson.h>
#include <stdio.h>

#include "domain/revert.h"
#include "tool/domain.h"
#include "tool/domain_delete.h"
#include "tool/domain_report.h"
#include "tool/domain_session.h"

/* `discarded`: NULL, or what was deleted of what was left behind. */
static void tell(const struct invocation *invocation, const char *uuid,
                 const struct revert_report *report, json_t *discarded)
{
    bool is_kept = report->left[0] != '\0' && json_array_size(discarded) == 0;
    if (invocation->values[INVOCATION_JSON]) {
        domain_report_json(json_pack("{s:s, s:s, s:s, s:s*, s:O*}", "uuid", uuid, "name",
                                     invocation->second, "state", report->state, "left_behind",
                                     is_kept ? report->left : NULL, "discarded", discarded),
                           stdout);
        return;
    }
    (void)printf("%s: at checkpoint %s again, %s\n", invocation->argument, invocation->second,
                 report->state);
    if (is_kept)
        (void)printf("    what was left behind is checkpoint %s\n", report->left);
    if (json_array_size(discarded) > 0)
        domain_delete_report(discarded, stdout);
}

static enum invocation_exit end_revert(const struct invocation *invocation, struct session *session,
                                       const struct revert_report *report, bool discard)
{
    struct error err = ERROR_INIT;
    json_t *discarded = NULL;
    int r = discard ? revert_discard(session, report, &discarded, &err) : 0;
    tell(invocation, session->uuid, report, discarded);
    json_decref(discarded);
    domain_session_warn_of_nova(session, NOVA_GUEST_REVERT);
    if (r == 0)
        return INVOCATION_DONE;
    (void)error_prepend(&err, "the domain is there, but what was left behind is not removed");
    return domain_session_complain(INVOCATION_FAILED, err.message);
}

enum invocation_exit domain_revert(const struct invocation *invocation)
{
    const struct revert_request request = {.name = invocation->second,
                                           .running = invocation->values[INVOCATION_RUNNING],
                                           .paused = invocation->values[INVOCATION_PAUSED],
                                           .force = invocation->values[INVOCATION_FORCE_REVERT],
                                           .discard = invocation->values[INVOCATION_DISCARD]};
    struct session *session = NULL;
    struct revert_report report;
    struct error err = ERROR_INIT;
    if (request.running && request.paused)
        return domain_session_complain(INVOCATION_USAGE, "it is either --running or --paused");
    if (domain_session_open(invocation, invocation->argument, false, &session, &err) < 0)
        return domain_session_failed(&err);
    enum invocation_exit status = revert_run(session, &request, &report, &err) < 0
                                      ? domain_session_complain(INVOCATION_FAILED, err.message)
                                      : end_revert(invocation, session, &report, request.discard);
    session_close(session);
    return status;
}
