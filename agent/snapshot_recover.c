/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot that an agent which died has left in the journal. See snapshot.h. */
#include "agent/agent.h"
#include "agent/finish.h"
#include "agent/instance_queue.h"
#include "agent/journal.h"
#include "agent/recover.h"
#include "agent/report.h"
#include "agent/resume.h"
#include "agent/snapshot_int.h"
#include "agent/temporary.h"
#include "amqp/bus.h"
#include "common/log.h"

/* A request that kills the agent may do so only so often. */
#define LIVES_MAX 3

/* The broker has heard that it was taken, or an earlier life has found that out, and begun it. */
static bool is_known_to_be_ours(const struct operation *op)
{
    return journal_last(op->base.record, "acked") || op->event_started;
}

/*
 * Nobody knows whether the broker has heard that the request was taken. If not, it gives it to
 * somebody who begins it, and the task state tells: that of a backup moves on a little later, when
 * its guest has been looked at. False when the agent ends first.
 */
static bool find_owner(struct operation *op, bool *ret_ours)
{
    const char *untouched = op->task_state;
    struct error failure = ERROR_INIT;
    int r;
    instance_turn_pass(op->base.turn); /* whom it is given to may be this agent */
    do {
        failure = (struct error)ERROR_INIT;
        if (!recovery_await_redelivery(op->base.agent))
            return false;
        r = report_task_state(&op->base, untouched, &untouched, 1, &failure);
    } while (r < 0 && temporary_failure(&failure)); /* a broker that was away gives out anew */
    log_debug("whether the request was acked is not known; its task state %s",
              r == 0 ? "is untouched" : "was moved");
    *ret_ours = r == 0;
    return true;
}

/* What was made in an earlier life, and undone there, counts no more. */
static bool has_touched_the_guest(const struct journal_record *record)
{
    json_int_t undone = json_integer_value(journal_last(record, "driver_undone"));
    return (json_int_t)json_array_size(journal_all(record, "driver")) > undone;
}

/* Nothing but its event and its task state can be seen of it. What is perhaps another's has killed
 * nobody, and its image is not ours to delete. */
static bool has_hardly_begun(const struct operation *op)
{
    const struct journal_record *record = op->base.record;
    return !has_touched_the_guest(record) && !json_is_object(journal_last(record, "volumes")) &&
           !op->upload_started && !op->image_complete && !journal_last(record, "failure") &&
           (operation_deaths(op) <= LIVES_MAX || !is_known_to_be_ours(op));
}

static void begin_again(struct operation *op)
{
    bool ours = is_known_to_be_ours(op);
    recovery_guest_is_back(op->base.agent->recovery);
    if (!ours && !find_owner(op, &ours)) {
        finish_interrupt(op);
    } else if (ours) {
        log_info("%s is begun again", op->base.request->method);
        instance_turn_join_again(op->base.turn);
        snapshot_take(op);
    } else {
        log_info("%s is not resumed: the broker redelivers it", op->base.request->method);
        journal_end(op->base.record);
        op->base.record = NULL;
    }
}

void snapshot_recover(const struct instance_request *handed_over)
{
    struct operation op = {.base = *handed_over};
    struct error err = ERROR_INIT;
    if (snapshot_begin(&op, &err) < 0) {
        recovery_guest_is_back(op.base.agent->recovery);
        snapshot_refuse(&op, &err);
        instance_request_end(&op.base);
        return;
    }
    operation_restore(&op);
    journal_mark(op.base.record, "recovered", json_true());
    log_debug("taken up for the %zuth time", operation_lives(&op));
    if (has_hardly_begun(&op))
        begin_again(&op);
    else if (!resume_operation(&op))
        snapshot_take(&op);
    instance_request_end(&op.base);
}
