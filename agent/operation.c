/* See operation.h. */
#include "agent/operation.h"

#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"

int operation_move_to(struct operation *op, const char *task_state, struct error *err)
{
    /* An earlier life may have died before it noted what its last save had done. */
    const char *const expected[] = {op->task_state, op->next_state};
    size_t n = op->next_state == op->task_state ? 1 : 2;
    op->next_state = task_state;
    journal_mark(op->record, "next_state", json_pack("s?", task_state));
    int r = report_task_state(&op->report, task_state, expected, n, err);
    if (r < 0)
        return r;
    op->task_state = task_state;
    journal_mark(op->record, "task_state", json_pack("s?", task_state));
    return 0;
}

int operation_upload_starts(struct operation *op, struct error *err)
{
    op->upload_started = true;
    return journal_note(op->record, "upload_started", json_true(), err);
}

int operation_image_is_complete(struct operation *op, struct error *err)
{
    op->image_complete = true;
    return journal_note(op->record, "image_complete", json_true(), err);
}

/* One of the states there are, so that the pointer outlives the record. */
static const char *restored_state(const struct operation *op, const char *name,
                                  const char *otherwise)
{
    static const char *const states[] = {IMAGE_SNAPSHOT_PENDING, IMAGE_SNAPSHOT, IMAGE_BACKUP,
                                         IMAGE_PENDING_UPLOAD, IMAGE_UPLOADING};
    const json_t *value = journal_last(op->record, name);
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
    op->task_state = restored_state(op, "task_state", op->task_state);
    op->next_state = restored_state(op, "next_state", op->next_state);
    op->event_started = journal_last(op->record, "event_started") != NULL;
    op->upload_started = json_is_true(journal_last(op->record, "upload_started"));
    op->image_complete = journal_last(op->record, "image_complete") != NULL;
    json_array_foreach (journal_all(op->record, "ended"), i, step) {
        json_int_t number = json_integer_value(step);
        if (number >= 0 && number < END_MAX)
            op->ended |= 1u << number;
    }
}

void operation_begin_overseeing(struct operation *op)
{
    struct error err = ERROR_INIT;
    if (overseer_begin(op->agent->overseer, op->arguments.instance.uuid, op->arguments.image_id,
                       op->request->context, &op->overseen, &err) < 0)
        log_warning("nothing can cancel this snapshot: %s", err.message);
}

void operation_end_overseeing(struct operation *op, struct error *failure)
{
    struct error reason = ERROR_INIT;
    if (failure->errnum != 0 && cancel_check(&reason) < 0 &&
        strcmp(failure->exc, reason.exc) != 0) {
        error_join(&reason, failure);
        *failure = reason;
    }
    overseer_end(op->overseen);
    op->overseen = NULL;
}
