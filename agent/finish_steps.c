/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that finish an operation. See finish.h. */
#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/backup.h"
#include "agent/disk_image.h"
#include "agent/finish_int.h"
#include "agent/journal.h"
#include "agent/report.h"
#include "agent/temporary.h"
#include "agent/volume_backed.h"
#include "amqp/bus.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "glance_client/glance.h"

/* A step that failed for good: say so and go on. */
static int finish_or_give_up(int r, const char *step, const struct error *failure,
                             struct error *err)
{
    if (r == 0)
        return 0;
    if (temporary_failure(failure)) {
        *err = *failure;
        return r;
    }
    log_warning("%s failed, will not retry: %s: %s", step, failure->exc, failure->message);
    return 0;
}

/* Whether nobody else has begun the request: asked until nova tells. */
static int ask_whether_ours(const struct operation *op, bool *ret_ours, struct error *err)
{
    struct error failure = ERROR_INIT;
    bool ours = false;
    int r = report_is_begun_once(&op->base, &ours, &failure);
    if (r < 0 && temporary_failure(&failure)) {
        *err = failure;
        return r;
    }
    *ret_ours = ours;
    return 0;
}

/* Somebody else may have been faster: the guest is in their hands then, and soon the image is. */
static bool may_be_anothers(const struct operation *op)
{
    return op->event_started && !journal_last(op->base.record, "task_state");
}

/* The request has been served before, or is just now, by nova-compute or another agent. */
static int is_anothers(struct finish *run, const struct glance_image *image, bool *ret_anothers,
                       struct error *err)
{
    bool filled = strcmp(image->status, "queued") != 0;
    bool ours = true;
    if (run->op->upload_started)
        return 0;
    int r = !filled && may_be_anothers(run->op) ? ask_whether_ours(run->op, &ours, err) : 0;
    if (r < 0)
        return r;
    if (filled)
        log_warning("image not deleted: its status is %s, set by another client", image->status);
    else if (!ours)
        log_warning("image and task state are left to nova-compute, which may have begun the "
                    "request as well");
    *ret_anothers = filled || !ours;
    return 0;
}

static int finish_image(struct finish *run, struct error *err)
{
    struct operation *op = run->op;
    struct glance *glance = op->base.agent->glance;
    const struct request_context *context = op->base.request->context;
    struct glance_image image = {0};
    struct error failure = ERROR_INIT;
    if (op->image_complete)
        return 0;
    int r = glance_image_get(glance, context, op->arguments.image_id, &image, &failure);
    bool anothers = false;
    int asked = r == 0 ? is_anothers(run, &image, &anothers, err) : 0;
    glance_image_done(&image);
    if (asked < 0)
        return asked;
    if (anothers || error_is(&failure, EXC_IMAGE_NOT_FOUND))
        return 0;
    log_debug("deleting image %s, which is not complete", op->arguments.image_id);
    if (r < 0 && !op->upload_started && temporary_failure(&failure)) { /* it may be another's */
        *err = failure;
        return r;
    }
    failure = (struct error)ERROR_INIT;
    r = glance_image_delete(glance, context, op->arguments.image_id, &failure);
    if (r < 0 && error_is(&failure, EXC_IMAGE_NOT_FOUND))
        return 0;
    return finish_or_give_up(r, "deleting the image", &failure, err);
}

static int finish_guest(struct finish *run, struct error *err)
{
    struct error failure = ERROR_INIT;
    /* What the driver has noted of a direct image is what the record points to now. */
    bool is_direct = json_is_string(journal_last(run->op->base.record, "location"));
    int r = run->op->image_complete && is_direct ? 0 : disk_image_undo(run->op, &failure);
    if (r == -EINVAL) { /* no other try will do: people have to look at it */
        log_error("guest not restored, will not retry, operator action needed: %s",
                  failure.message);
        run->unreadable = failure;
        return 0;
    }
    if (r < 0)
        *err = failure;
    return r;
}

static int finish_volumes(struct finish *run, struct error *err)
{
    struct error left = ERROR_INIT;
    return run->op->image_complete
               ? 0
               : finish_or_give_up(volume_backed_undo(run->op, &left),
                                   "deleting the snapshots of volumes", &left, err);
}

/* There is nobody left to tell of a failure. */
static void be_quiet(struct finish *run, const struct error *why)
{
    if (error_is(why, EXC_IMAGE_NOT_FOUND))
        log_warning("Image not found during snapshot: %s", why->message);
    else
        log_info("Instance disappeared during snapshot: %s", why->message);
    run->told = (struct error)ERROR_INIT;
    journal_mark(run->op->base.record, "quiet", json_true());
}

static bool has_no_instance(const struct error *err)
{
    return error_is(err, EXC_UNEXPECTED_DELETING) || error_is(err, EXC_INSTANCE_NOT_FOUND);
}

/*
 * Somebody else has set another state, or none (reverts_task_state), and may be through with it by
 * now; ours is there only when it was saved once more meanwhile, or its save was executed and the
 * same one refused. What there was before the first one of ours was nova-api's.
 */
static int finish_lost_state(struct operation *op, struct error *err)
{
    const char *const ours[] = {op->task_state, op->next_state};
    bool has_saved = journal_last(op->base.record, "task_state") != NULL;
    size_t first = has_saved ? 0 : 1;
    struct error conflict = ERROR_INIT;
    bool both = false;
    int r = op->next_state == op->task_state ? 0 : ask_whether_ours(op, &both, err);
    size_t n = (both ? 2 : 1) - first;
    if (r < 0 || n == 0)
        return r;
    r = report_task_state(&op->base, NULL, &ours[first], n, &conflict);
    if (r == 0)
        return 0;
    if (!temporary_failure(&conflict)) {
        if (has_saved)
            report_progress_back(&op->base);
        return 0;
    }
    *err = conflict;
    return r;
}

/*
 * Somebody else's is left alone, but the progress beside it is ours. The next state is there when
 * its save got no answer.
 */
static int finish_own_state(struct operation *op, struct error *conflict, struct error *err)
{
    const char *const ours[] = {op->task_state, NULL, op->next_state};
    bool asks = op->next_state != op->task_state || may_be_anothers(op);
    bool all = false;
    int r = asks ? ask_whether_ours(op, &all, err) : 0;
    if (r < 0 || (may_be_anothers(op) && !all))
        return r;
    r = finish_or_give_up(report_task_state(&op->base, NULL, ours, all ? 3 : 2, conflict),
                          "clearing the task state", conflict, err);
    if (error_is(conflict, EXC_UNEXPECTED_TASK_STATE))
        report_progress_back(&op->base);
    return r;
}

/* Clears the task state if it is still ours. */
static int finish_state(struct finish *run, struct error *err)
{
    struct operation *op = run->op;
    struct error conflict = ERROR_INIT;
    int r = 0;
    if (run->failure->errnum == 0)
        return 0;
    if (error_is(run->failure, EXC_UNEXPECTED_TASK_STATE)) /* also while it is being deleted */
        r = finish_lost_state(op, err);
    else
        r = finish_own_state(op, &conflict, err);
    if (r < 0)
        return r;
    if (has_no_instance(&conflict))
        be_quiet(run, &conflict);
    else if (error_is(run->failure, EXC_UNEXPECTED_DELETING) ||
             error_is(run->failure, EXC_IMAGE_NOT_FOUND))
        be_quiet(run, run->failure);
    return 0;
}

/* That older backups could not be rotated out is told, though the new one is there. */
static int finish_backups(struct finish *run, struct error *err)
{
    struct error failure = ERROR_INIT;
    if (!run->op->image_complete || !run->op->arguments.backup_type)
        return 0;
    int r = backup_rotate(run->op, &failure);
    if (r == 0)
        return 0;
    if (temporary_failure(&failure)) {
        *err = failure;
        return r;
    }
    run->told = failure;
    return 0;
}

static int finish_fault(struct finish *run, struct error *err)
{
    struct error why = ERROR_INIT;
    if (run->told.errnum == 0)
        return 0;
    log_error("%s failed: %s: %s", run->op->base.request->method, run->told.exc, run->told.message);
    return finish_or_give_up(report_fault(&run->op->base, &run->told, &why), "recording the fault",
                             &why, err);
}

static int finish_event(struct finish *run, struct error *err)
{
    struct error why = ERROR_INIT;
    const struct error *told = run->told.errnum != 0 ? &run->told : NULL;
    return run->op->event_started
               ? finish_or_give_up(report_event_finish(&run->op->base, told, &why),
                                   "finishing the action event", &why, err)
               : 0;
}

static int finish_notification(struct finish *run, struct error *err)
{
    (void)err;
    struct error why = ERROR_INIT;
    if (run->told.errnum != 0 && report_exception(&run->op->base, &run->told, &why) < 0)
        log_warning("the exception notification failed: %s", why.message);
    return 0;
}

/* The steps in their order, and the points at which a test may stop the agent after each. */
static const struct {
    int (*run)(struct finish *run, struct error *err);
    const char *failpoint;
} steps[FINISH_MAX] = {
    [FINISH_GUEST] = {finish_guest, "end:guest"},
    [FINISH_VOLUMES] = {finish_volumes, "end:volumes"},
    [FINISH_IMAGE] = {finish_image, "end:image"},
    [FINISH_STATE] = {finish_state, "end:state"},
    [FINISH_BACKUPS] = {finish_backups, "end:backups"},
    [FINISH_FAULT] = {finish_fault, "end:fault"},
    [FINISH_EVENT] = {finish_event, "end:event"},
    [FINISH_NOTIFICATION] = {finish_notification, "end:notification"},
};

int finish_steps_run(struct finish *run, unsigned step, struct error *err)
{
    if (run->op->ended & 1u << step)
        return 0;
    int r = steps[step].run(run, err);
    if (r < 0) {
        log_debug("%s has to wait: %s", steps[step].failpoint, err->message);
        return r;
    }
    log_debug("%s is done", steps[step].failpoint);
    run->op->ended |= 1u << step;
    journal_mark(run->op->base.record, "ended", json_integer(step));
    failpoint(steps[step].failpoint);
    return 0;
}
