/* SPDX-License-Identifier: Apache-2.0 */
/* See operation_state.h. */
#include "agent/operation_state.h"

#include <limits.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/conductor.h"
#include "agent/journal.h"
#include "agent/report.h"
#include "agent/state_watch.h"
#include "agent/task_states.h"
#include "agent/temporary.h"
#include "amqp/bus.h"
#include "common/cancel.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "common/retry.h"
#include "glance_client/glance.h"

/* A state whose save was refused. */
struct conflict {
    const char *task_state; /* which */
    struct instance_states states;
    bool is_saved; /* it is there all the same ... */
    bool is_ours;  /* ... by a save of ours */
};

static bool has_saved(const struct operation *op)
{
    return journal_last(op->base.record, "task_state") != NULL;
}

/* Before the first state of ours a cleared one may also be that of a request that was served. */
static bool is_still_ours(const struct operation *op)
{
    struct glance_image image = {0};
    struct error ignored = ERROR_INIT;
    if (has_saved(op))
        return true;
    int r = glance_image_get(op->base.agent->glance, op->base.admin, op->arguments.image_id, &image,
                             &ignored);
    bool queued = r == 0 && strcmp(image.status, "queued") == 0;
    glance_image_done(&image);
    return queued;
}

/*
 * A save without an answer is sent again, and a broker gives a message out again whose ack it has
 * not seen: what was executed is refused the second time. But the same state may be another's: who
 * has begun this request as well, or a later one, after ours was cleared. Nova's record tells.
 */
static int look_at_conflict(const struct operation *op, struct conflict *conflict,
                            struct error *err)
{
    int r = report_read_states(&op->base, &conflict->states, err);
    if (r < 0)
        return r;
    conflict->is_saved =
        conflict->task_state && strcmp(conflict->states.task_state, conflict->task_state) == 0;
    conflict->is_ours = false;
    return conflict->is_saved ? report_is_begun_once(&op->base, &conflict->is_ours, err) : 0;
}

/*
 * Before the first state of ours nothing is lost by asking until somebody answers: what the agent's
 * end interrupts is left for the next start. Later there is a copy to be kept, and for streams a
 * job in the guest: conductor, which was slow to answer the save, has another minute.
 */
static int insist_on_look(const struct operation *op, struct conflict *conflict, struct error *err)
{
    static const struct retry_policy first_state = {UINT_MAX, 1000, 5000, UINT_MAX};
    static const struct retry_policy later_ones = {UINT_MAX, 1000, 5000, 60000};
    struct retry retry = retry_begin(has_saved(op) ? &later_ones : &first_state);
    struct error failure = ERROR_INIT;
    int r;
    while ((r = look_at_conflict(op, conflict, &failure)) < 0 && temporary_failure(&failure) &&
           retry_wait(&retry, 0))
        failure = (struct error)ERROR_INIT;
    if (r < 0)
        *err = failure;
    return r;
}

/* The state is the one to be saved already. */
static int take_for_ours(struct operation *op, const struct conflict *conflict,
                         const struct error *refusal, struct error *err)
{
    if (!conflict->is_ours) {
        *err = *refusal;
        return -err->errnum;
    }
    log_warning("a save of the task state was executed and refused, as when a broker gives a "
                "message out twice: going on");
    return report_task_state(&op->base, conflict->task_state, &conflict->task_state, 1, err);
}

/*
 * The state was cleared, perhaps by ourselves when none is to be saved. The save that sets it
 * again, too, may be executed and refused.
 */
static int save_again(struct operation *op, struct conflict *conflict, struct error *err)
{
    const char *const none = NULL;
    struct error refusal = ERROR_INIT, ignored = ERROR_INIT;
    if (conflict->task_state)
        log_warning("the task state was cleared, as nova-compute does when it starts: setting it "
                    "again");
    int r = report_task_state(&op->base, conflict->task_state, &none, 1, &refusal);
    if (r < 0 && strcmp(refusal.exc, EXC_UNEXPECTED_TASK_STATE) == 0) {
        (void)insist_on_look(op, conflict, &ignored);
        return take_for_ours(op, conflict, &refusal, err);
    }
    if (r < 0)
        *err = refusal;
    return r;
}

/* The state is none of the expected ones. *ret_left: it is to be left as it is. */
static int settle_conflict(struct operation *op, const char *task_state,
                           const struct error *refusal, bool *ret_left, struct error *err)
{
    struct conflict conflict = {.task_state = task_state};
    struct error ignored = ERROR_INIT;
    bool known = insist_on_look(op, &conflict, &ignored) == 0;
    log_debug("saving task state %s met %s", task_state ? task_state : "None",
              known ? conflict.states.task_state : "(not known)");
    if (known && state_watch_is_of_next(op->base.turn, conflict.states.task_state)) {
        *ret_left = true;
        if (!task_state) /* the progress beside it is ours */
            report_progress_back(&op->base);
        return 0;
    }
    bool cleared = known && conflict.states.task_state[0] == '\0' && is_still_ours(op);
    return cleared ? save_again(op, &conflict, err) : take_for_ours(op, &conflict, refusal, err);
}

static int save_state(struct operation *op, const char *task_state, bool *ret_left,
                      struct error *err)
{
    /* An earlier life may have died before it noted what its last save had done. The first one may
     * be another's, and is asked for. */
    const char *const expected[] = {op->task_state, op->next_state};
    size_t n = op->next_state == op->task_state || !has_saved(op) ? 1 : 2;
    struct error failure = ERROR_INIT;
    op->next_state = task_state;
    journal_mark(op->base.record, "next_state", json_pack("s?", task_state));
    int r = report_task_state(&op->base, task_state, expected, n, &failure);
    if (r < 0 && strcmp(failure.exc, EXC_UNEXPECTED_TASK_STATE) == 0) /* and not being deleted */
        return settle_conflict(op, task_state, &failure, ret_left, err);
    if (r < 0)
        *err = failure;
    return r;
}

int operation_state_move_to(struct operation *op, const char *task_state, struct error *err)
{
    bool left = false;
    state_watch_pause(op->watched);
    /* What was cancelled for a state of others must not find it gone and go on. */
    int r = task_state ? cancel_check(err) : 0;
    if (r == 0)
        r = save_state(op, task_state, &left, err);
    state_watch_expect(op->watched, r == 0 ? task_state : NULL);
    if (r < 0 || left)
        return r;
    log_debug("task state %s -> %s", op->task_state ? op->task_state : "None",
              task_state ? task_state : "None");
    op->task_state = task_state;
    journal_mark(op->base.record, "task_state", json_pack("s?", task_state));
    return 0;
}

int operation_state_conclude(struct operation *op, struct error *err)
{
    int r = operation_state_move_to(op, NULL, err);
    failpoint("snapshot:state-cleared");
    if (r == 0)
        operation_notify_phase(op, "end");
    return r;
}
