/* SPDX-License-Identifier: Apache-2.0 */
/* All steps until they are done, and what is left to the next start. See finish.h. */
#include <stdio.h>

#include "agent/agent.h"
#include "agent/disk_image.h"
#include "agent/finish_int.h"
#include "agent/instance_queue.h"
#include "agent/journal.h"
#include "agent/preflight.h"
#include "agent/temporary.h"
#include "amqp/bus.h"
#include "common/cancel.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"

/*
 * All steps that are left. Fails with what the first of them has to wait for. A server is not kept
 * from its tenant by an image that cannot be deleted yet; but its guest and its state come first.
 */
static int finish_run_steps(struct finish *run, struct error *err)
{
    struct error waits = ERROR_INIT;
    for (unsigned step = 0; step < FINISH_MAX; step++) {
        struct error failure = ERROR_INIT;
        if (finish_steps_run(run, step, &failure) == 0)
            continue;
        if (waits.errnum == 0)
            waits = failure;
        if (step == FINISH_GUEST || step == FINISH_STATE)
            break;
    }
    if (waits.errnum == 0)
        return 0;
    *err = waits;
    return -waits.errnum;
}

/* Others of the instance wait for its guest and its task state, and for nothing else. */
static struct instance_turn *turn_to_pass(const struct operation *op)
{
    const unsigned before_others = 1u << FINISH_GUEST | 1u << FINISH_STATE;
    return (op->ended & before_others) == before_others ? op->base.turn : NULL;
}

/* With growing pauses, as long as services are away. */
static int finish_run_all(struct finish *run, struct error *err)
{
    struct operation *op = run->op;
    struct temporary_wait wait = temporary_wait_begin(op->base.agent->shutdown);
    struct error why = ERROR_INIT;
    int r = finish_run_steps(run, &why);
    if (r < 0)
        log_warning("cleanup of %s is incomplete, will retry: %s: %s", op->base.request->method,
                    why.exc, why.message);
    while (r < 0 && temporary_wait_next(&wait, turn_to_pass(op))) {
        why = (struct error)ERROR_INIT;
        r = finish_run_steps(run, &why);
    }
    if (r < 0)
        *err = why;
    return r;
}

static void mark_failure(struct operation *op, const struct error *failure)
{
    if (failure->errnum != 0 && !journal_last(op->base.record, "failure"))
        journal_mark(op->base.record, "failure",
                     json_pack("{s:i, s:i, s:s, s:s, s:s, s:b}", "errnum", failure->errnum, "code",
                               failure->code, "exc", failure->exc, "module", failure->module,
                               "message", failure->message, "is_wish", (int)failure->is_wish));
}

static void log_outcome(const struct finish *run)
{
    char text[ERROR_EXC_MAX + 16] = "is not wanted any more";
    enum metric_outcome outcome = METRIC_UNWANTED;
    if (run->op->image_complete) {
        outcome = METRIC_ACTIVE;
        (void)snprintf(text, sizeof(text), "is active");
    } else if (run->told.errnum != 0) {
        outcome = run->told.is_wish ? METRIC_UNWANTED : METRIC_FAILED;
        (void)snprintf(text, sizeof(text), "failed: %s", run->told.exc);
    }
    operation_log_summary(run->op, outcome, text);
}

void finish_operation(struct operation *op, const struct error *failure)
{
    CANCEL_SHIELD();
    struct finish run = {.op = op, .failure = failure};
    struct error err = ERROR_INIT;
    operation_enter(op, SUMMARY_FINISH);
    if (!op->image_complete && !journal_last(op->base.record, "quiet"))
        run.told = *failure;
    if (op->image_complete && failure->errnum != 0)
        log_warning("the image is complete, but what followed failed: %s: %s", failure->exc,
                    failure->message);
    mark_failure(op, failure);
    if (run.told.errnum != 0 && !run.told.is_wish)
        preflight_suspect(op->base.agent->preflight);
    if (finish_run_all(&run, &err) < 0) {
        finish_postpone(op, &err);
        return;
    }
    log_outcome(&run);
    if (run.unreadable.errnum != 0)
        journal_set_aside(op->base.record, &run.unreadable);
    else
        journal_end(op->base.record);
    op->base.record = NULL;
}

void finish_interrupt(struct operation *op)
{
    CANCEL_SHIELD();
    struct error err = ERROR_INIT;
    journal_mark(op->base.record, "interrupted", json_integer((json_int_t)operation_lives(op)));
    if (disk_image_undo(op, &err) < 0)
        log_error("guest not restored, the next start of the agent will retry: %s", err.message);
    instance_turn_leave(op->base.turn); /* whoever is next finds the guest as it was */
    failpoint("end:interrupted");
    operation_log_summary(op, METRIC_INTERRUPTED,
                          "is interrupted, the next start of the agent resumes it");
    journal_leave(op->base.record);
    op->base.record = NULL;
}

void finish_postpone(struct operation *op, const struct error *why)
{
    log_error("%s is postponed to the next start of the agent: %s", op->base.request->method,
              why->message);
    operation_log_summary(op, METRIC_POSTPONED,
                          op->image_complete
                              ? "is active, its cleanup is postponed to the next start"
                              : "is postponed to the next start of the agent");
    instance_turn_leave(op->base.turn);
    journal_leave(op->base.record);
    op->base.record = NULL;
}
