/* SPDX-License-Identifier: Apache-2.0 */
/* See undo.h. */
#include "driver/undo.h"

#include <inttypes.h>

#include "common/cancel.h"
#include "common/clock.h"
#include "common/log.h"

static int undo_again(const struct undo *undo, const struct undo_step *step, void *op,
                      struct error *err)
{
    if (undo->refresh && undo->refresh != step->run) {
        int r = undo->refresh(op, err);
        if (r < 0)
            return r;
    }
    return step->run(op, err);
}

static int undo_step(const struct undo *undo, const struct undo_step *step, void *op,
                     struct error *err)
{
    struct error failure = ERROR_INIT;
    uint64_t since_ms = clock_now_ms();
    int r = step->run(op, &failure);
    if (r < 0 && r != -undo->final_errnum) {
        log_debug("undo: %s failed, trying again: %s", step->name, failure.message);
        failure = (struct error)ERROR_INIT;
        r = undo_again(undo, step, op, &failure);
    }
    if (r < 0) {
        log_debug("undo: %s failed: %s", step->name, failure.message);
        error_join(err, &failure);
        return r;
    }
    log_debug("undo: %s: ok after %" PRIu64 " ms", step->name, clock_now_ms() - since_ms);
    return 0;
}

int undo_run(const struct undo *undo, void *op, struct error *err)
{
    int first = 0;
    CANCEL_SHIELD();
    for (size_t i = 0; i < undo->count; i++) {
        int r = undo_step(undo, &undo->steps[i], op, err);
        if (first == 0)
            first = r;
        if (undo->is_over && undo->is_over(op, r))
            break;
    }
    return first;
}
