/* See operation.h. */
#include "agent/operation.h"

int operation_move_to(struct operation *op, const char *task_state, struct error *err)
{
    op->next_state = task_state;
    int r = report_task_state(&op->report, task_state, &op->task_state, 1, err);
    if (r == 0)
        op->task_state = task_state;
    return r;
}
