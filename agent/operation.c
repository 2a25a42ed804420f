/* SPDX-License-Identifier: Apache-2.0 */
/* See operation.h. */
#include "agent/operation.h"

#include <string.h>

#include "agent/agent.h"
#include "agent/canceller.h"
#include "agent/instance.h"
#include "agent/journal.h"
#include "agent/report.h"
#include "agent/shutdown.h"
#include "agent/state_watch.h"
#include "agent/task_states.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "conf/conf.h"

void operation_enter(struct operation *op, enum summary_phase phase)
{
    const char *name = summary_phase_name(phase);
    summary_enter(&op->summary, phase);
    jobs_set_phase(&op->base.job, name);
    log_debug("phase %s", name);
}

void operation_set_method(struct operation *op, const char *method)
{
    op->summary.method = method;
    jobs_set_snapshot_method(&op->base.job, method);
}

static void count_summary(const struct operation *op, enum metric_outcome outcome)
{
    const struct summary *summary = &op->summary;
    bool of_volumes = summary->method && instance_is_volume_backed(&op->base.instance);
    metric_add(METRIC_SNAPSHOTS, metric_snapshot(of_volumes ? "volumes" : summary->method, outcome),
               1);
    for (unsigned i = 0; i < SUMMARY_PHASE_MAX; i++)
        if (summary->spent_ms[i] > 0)
            metric_observe(METRIC_PHASE, i, summary->spent_ms[i]);
}

void operation_log_summary(struct operation *op, enum metric_outcome outcome, const char *text)
{
    char line[2 * ERROR_MESSAGE_MAX + 512];
    struct summary *summary = &op->summary;
    summary_enter(summary, summary->phase); /* up to now */
    count_summary(op, outcome);
    summary->wanted_method = snapshot_method_name(op->wanted_method);
    summary->method_reason = op->method_reason;
    summary->quiesce_reason = op->quiesce.reason;
    summary_write(summary, op->arguments.image_id, text, line, sizeof(line));
    log_info("%s", line);
}

void operation_notify_phase(struct operation *op, const char *phase)
{
    struct error err = ERROR_INIT;
    if (report_phase(&op->base, op->arguments.image_id, phase, &err) < 0)
        log_warning("the snapshot notification failed: %s: %s", err.exc, err.message);
}

int operation_upload_starts(struct operation *op, struct error *err)
{
    op->upload_started = true;
    log_debug("from now on the data of image %s may be ours", op->arguments.image_id);
    return journal_note(op->base.record, "upload_started", json_true(), err);
}

int operation_image_is_complete(struct operation *op, struct error *err)
{
    log_debug("image %s is complete", op->arguments.image_id);
    op->image_complete = true;
    return journal_note(op->base.record, "image_complete", json_true(), err);
}

/* One of the states there are, so that the pointer outlives the record. */
static const char *restored_state(const struct operation *op, const char *name,
                                  const char *otherwise)
{
    static const char *const states[] = {IMAGE_SNAPSHOT_PENDING, IMAGE_SNAPSHOT, IMAGE_BACKUP,
                                         IMAGE_PENDING_UPLOAD, IMAGE_UPLOADING};
    const json_t *value = journal_last(op->base.record, name);
    const char *text = json_string_value(value);
    for (size_t i = 0; text && i < ARRAY_SIZE(states); i++)
        if (strcmp(states[i], text) == 0)
            return states[i];
    return value ? NULL : otherwise;
}

void operation_restore(struct operation *op)
{
    size_t i;
    json_t *step;
    op->base.restores_progress = true; /* the life before may have been told to report it */
    op->task_state = restored_state(op, "task_state", op->task_state);
    op->next_state = restored_state(op, "next_state", op->next_state);
    op->event_started = journal_last(op->base.record, "event_started") != NULL;
    op->upload_started = json_is_true(journal_last(op->base.record, "upload_started"));
    op->image_complete = journal_last(op->base.record, "image_complete") != NULL;
    log_debug("an earlier life left: task state %s, event %s, upload %s, image %s",
              op->task_state ? op->task_state : "None",
              op->event_started ? "started" : "not started",
              op->upload_started ? "started" : "not started",
              op->image_complete ? "complete" : "not complete");
    json_array_foreach (journal_all(op->base.record, "ended"), i, step) {
        json_int_t number = json_integer_value(step);
        if (number >= 0 && number < FINISH_MAX)
            op->ended |= 1u << number;
    }
}

bool operation_restore_failure(const struct operation *op, struct error *ret_failure)
{
    const json_t *failure = journal_last(op->base.record, "failure");
    int errnum = (int)json_integer_value(json_object_get(failure, "errnum"));
    const char *exc = json_string_member(failure, "exc");
    const char *module = json_string_member(failure, "module");
    const char *message = json_string_member(failure, "message");
    if (errnum <= 0 || !exc || !module || !message)
        return false;
    (void)error_set_foreign(ret_failure, errnum, module, exc, "%s", message);
    ret_failure->code = (int)json_integer_value(json_object_get(failure, "code"));
    ret_failure->is_wish = json_is_true(json_object_get(failure, "is_wish"));
    return true;
}

size_t operation_lives(const struct operation *op)
{
    return json_array_size(journal_all(op->base.record, "recovered"));
}

bool operation_was_interrupted(const struct operation *op)
{
    const json_t *life = journal_last(op->base.record, "interrupted");
    return life && json_integer_value(life) + 1 == (json_int_t)operation_lives(op);
}

size_t operation_deaths(const struct operation *op)
{
    return operation_lives(op) - json_array_size(journal_all(op->base.record, "interrupted"));
}

void operation_begin_cancellable(struct operation *op)
{
    bool reports = op->base.agent->conf->snapshot_agent.report_progress;
    struct error err = ERROR_INIT;
    if (canceller_begin(op->base.agent->canceller, op->base.instance.uuid, op->arguments.image_id,
                        op->base.request->context, &op->cancellable, &err) < 0)
        log_warning("cannot watch for a deletion of the image or the server: %s", err.message);
    err = (struct error)ERROR_INIT;
    const struct state_watch_subject subject = {.instance_uuid = op->base.instance.uuid,
                                                .admin = op->base.admin,
                                                .turn = op->base.turn,
                                                .cancellable = op->cancellable,
                                                .job = reports ? &op->base.job : NULL,
                                                .progress = op->base.instance.progress};
    if (state_watch_begin(op->base.agent->state_watch, &subject, &op->watched, &err) < 0)
        log_warning("cannot watch the task state: %s", err.message);
}

bool operation_is_left(const struct operation *op, int r)
{
    struct error reason = ERROR_INIT;
    return r < 0 && !op->image_complete && cancel_check(&reason) < 0 && shutdown_is_reason(&reason);
}

void operation_end_cancellable(struct operation *op, struct error *failure)
{
    struct error reason = ERROR_INIT;
    state_watch_end(op->watched);
    op->watched = NULL;
    op->is_interrupted = operation_is_left(op, -failure->errnum);
    if (failure->errnum != 0 && cancel_check(&reason) < 0) {
        if (strcmp(failure->exc, reason.exc) != 0) {
            error_join(&reason, failure);
            *failure = reason;
        }
        failure->is_wish = reason.is_wish;
    }
    canceller_end(op->cancellable);
    op->cancellable = NULL;
}
