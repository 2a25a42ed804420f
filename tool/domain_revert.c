/* SPDX-License-Identifier: Apache-2.0 */
/* The command `domain revert`. See domain.h. */
/* Names begin with domain_. */
#include <jansson.h>
#include <stdio.h>

#include "domain/revert.h"
#include "tool/domain.h"
#include "tool/domain_report.h"
#include "tool/domain_session.h"

static void tell(const struct invocation *invocation, const char *uuid,
                 const struct revert_report *report)
{
    bool is_kept = report->left[0] != '\0';
    if (invocation->values[INVOCATION_JSON]) {
        domain_report_json(json_pack("{s:s, s:s, s:s, s:s*}", "uuid", uuid, "name",
                                     invocation->second, "state", report->state, "left_behind",
                                     is_kept ? report->left : NULL),
                           stdout);
        return;
    }
    (void)printf("%s: at checkpoint %s again, %s\n", invocation->argument, invocation->second,
                 report->state);
    if (is_kept)
        (void)printf("    what was left behind is checkpoint %s\n", report->left);
}

enum invocation_exit domain_revert(const struct invocation *invocation)
{
    const struct revert_request request = {.name = invocation->second,
                                           .running = invocation->values[INVOCATION_RUNNING],
                                           .paused = invocation->values[INVOCATION_PAUSED],
                                           .force = invocation->values[INVOCATION_FORCE_REVERT]};
    struct session *session = NULL;
    struct revert_report report;
    struct error err = ERROR_INIT;
    enum invocation_exit status = INVOCATION_DONE;
    if (request.running && request.paused)
        return domain_session_complain(INVOCATION_USAGE, "it is either --running or --paused");
    if (domain_session_open(invocation, invocation->argument, false, &session, &err) < 0)
        return domain_session_failed(&err);
    if (revert_run(session, &request, &report, &err) < 0)
        status = domain_session_complain(INVOCATION_FAILED, err.message);
    else
        tell(invocation, session->uuid, &report);
    if (status == INVOCATION_DONE)
        domain_session_warn_of_nova(session, NOVA_GUEST_REVERT);
    session_close(session);
    return status;
}
