/* SPDX-License-Identifier: Apache-2.0 */
/* See resume.h. */
#include "agent/resume.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/canceller.h"
#include "agent/disk_image.h"
#include "agent/finish.h"
#include "agent/instance_queue.h"
#include "agent/journal.h"
#include "agent/operation_state.h"
#include "agent/recover.h"
#include "agent/shutdown.h"
#include "agent/temporary.h"
#include "agent/volume_backed.h"
#include "amqp/bus.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/retry.h"
#include "glance_client/glance.h"

#define SAVING_MAX_MS 600000 /* an image may be "saving" for ever where a Glance died */

/* Without data of ours to compare: the image alone tells whether Glance has taken it. */
static bool is_without_data(const struct operation *op)
{
    return json_is_string(journal_last(op->base.record, "location")) ||
           json_is_object(journal_last(op->base.record, "volumes"));
}

/* What was sent to Glance before is gone. */
static void forget_upload(struct operation *op)
{
    op->upload_started = false;
    journal_mark(op->base.record, "upload_started", json_false());
}

static int look_at_image(struct operation *op, struct error *err)
{
    struct glance_image image = {0};
    struct error failure = ERROR_INIT;
    int r = glance_image_get(op->base.agent->glance, op->base.request->context,
                             op->arguments.image_id, &image, &failure);
    bool active = r == 0 && strcmp(image.status, "active") == 0;
    bool queued = r == 0 && strcmp(image.status, "queued") == 0;
    glance_image_done(&image);
    log_debug("image %s is %s", op->arguments.image_id,
              r < 0    ? "not known"
              : active ? "active"
              : queued ? "queued"
                       : "neither queued nor active");
    if (active && is_without_data(op))
        return operation_image_is_complete(op, err);
    if (queued && operation_was_interrupted(op))
        forget_upload(op);
    if (r < 0 && temporary_failure(&failure)) {
        *err = failure;
        return r;
    }
    return 0;
}

/* Glance removes what it had of an upload that was broken off before it says "queued" again. */
static int await_saved(struct operation *op, struct error *err)
{
    struct glance_image image = {0};
    struct error failure = ERROR_INIT;
    int r = glance_image_get(op->base.agent->glance, op->base.request->context,
                             op->arguments.image_id, &image, &failure);
    bool saving = r == 0 && strcmp(image.status, "saving") == 0;
    glance_image_done(&image);
    if (!saving)
        return 0;
    (void)error_set(err, EAGAIN, EXC_IMAGE_UPLOAD_FAILED, "Glance goes on saving the image");
    err->passes = true;
    return -EAGAIN;
}

/* Until Glance has decided, but not for ever. */
static int insist_on_saved(struct operation *op, struct error *err)
{
    static const struct retry_policy saving = {UINT_MAX, 1000, 5000, SAVING_MAX_MS};
    struct retry retry = retry_begin(&saving);
    struct error failure = ERROR_INIT;
    int r;
    while ((r = await_saved(op, &failure)) < 0 && !shutdown_has_begun(op->base.agent->shutdown) &&
           retry_wait(&retry, 0))
        failure = (struct error)ERROR_INIT;
    if (r < 0)
        *err = failure;
    return r;
}

/* As often as a service that is away may need to come back. */
static int insist_on_step(struct operation *op,
                          int (*step)(struct operation *op, struct error *err), struct error *err)
{
    struct temporary_wait wait = temporary_wait_begin(op->base.agent->shutdown);
    struct error failure = ERROR_INIT;
    int r;
    while ((r = step(op, &failure)) < 0 && temporary_failure(&failure) &&
           temporary_wait_next(&wait, NULL))
        failure = (struct error)ERROR_INIT;
    if (r < 0)
        *err = failure;
    return r;
}

/* Nothing that the image may refer to can be undone before this is known. */
static int learn_of_image(struct operation *op, struct error *err)
{
    struct error still = ERROR_INIT;
    if (op->image_complete || !op->upload_started ||
        !(is_without_data(op) || operation_was_interrupted(op)))
        return 0;
    if (operation_was_interrupted(op) && insist_on_saved(op, &still) < 0)
        log_warning("cannot see the upload's end, judging the image as it is: %s", still.message);
    return insist_on_step(op, look_at_image, err);
}

/* What the driver has noted; a driver that cannot do it now is asked again at the end. */
static void resume_guest(struct operation *op, struct image_source **ret_image)
{
    struct error err = ERROR_INIT;
    if (!op->image_complete && journal_last(op->base.record, "driver") &&
        disk_image_recover(op, ret_image, &err) < 0)
        log_warning("guest not restored yet, will retry: %s", err.message);
}

/* 0 when there is an image. */
static int resume_image(struct operation *op, struct image_source *image, struct error *err)
{
    const char *format = json_string_value(journal_last(op->base.record, "image_format"));
    if (op->image_complete)
        return 0;
    if (operation_restore_failure(op, err))
        return -err->errnum;
    if (image && format) {
        log_info("image of %llu bytes was complete before the restart, uploading it",
                 (unsigned long long)image->size_bytes);
        return disk_image_upload(op, image, format, err);
    }
    return error_set(err, EINTR, EXC_INTERNAL_ERROR,
                     "the snapshot agent ended while it took this snapshot");
}

/* Nothing was told yet, and nothing that was made is in the way. */
static bool can_begin_again(const struct operation *op, const struct image_source *image)
{
    return !image && !op->image_complete && !op->upload_started &&
           !journal_last(op->base.record, "failure") && operation_was_interrupted(op) &&
           (op->guest_is_back || !journal_last(op->base.record, "driver"));
}

/* False when something is left of what was made: the next start has to see to it. */
static bool clear_for_another_try(struct operation *op)
{
    struct error err = ERROR_INIT;
    if (insist_on_step(op, volume_backed_undo, &err) < 0) {
        finish_postpone(op, &err);
        return false;
    }
    log_info("%s is begun again", op->base.request->method);
    size_t n_undone = json_array_size(journal_all(op->base.record, "driver"));
    journal_mark(op->base.record, "driver_undone", json_integer((json_int_t)n_undone));
    journal_mark(op->base.record, "location", json_null());
    journal_mark(op->base.record, "volumes", json_null());
    journal_mark(op->base.record, "snapshots", json_null());
    return true;
}

/* From the guest that is back to the end. */
static void resume_to_the_end(struct operation *op, struct image_source *image)
{
    struct error failure = ERROR_INIT;
    operation_begin_cancellable(op);
    canceller_set_phase(op->cancellable, CANCELLABLE_RUNS);
    int r = resume_image(op, image, &failure);
    disk_image_let_go(op, image, r);
    if (r == 0)
        (void)operation_state_conclude(op, &failure);
    operation_end_cancellable(op, &failure);
    if (op->is_interrupted)
        finish_interrupt(op);
    else
        finish_operation(op, &failure);
}

bool resume_operation(struct operation *op)
{
    struct error failure = ERROR_INIT;
    struct image_source *image = NULL;
    log_info("resuming %s", op->base.request->method);
    jobs_set_phase(&op->base.job, "restore");
    bool guest_first = journal_last(op->base.record, "driver") && !is_without_data(op);
    log_debug("the guest is restored %s", guest_first ? "at once" : "when nova can be asked");
    if (guest_first) {
        (void)instance_turn_await(op->base.turn, NEVER_MS, &failure);
        resume_guest(op, &image);
    }
    recovery_guest_is_back(op->base.agent->recovery);
    (void)instance_turn_await(op->base.turn, NEVER_MS, &failure);
    if (learn_of_image(op, &failure) < 0) {
        image_source_leave(image);
        finish_postpone(op, &failure);
        return true;
    }
    if (!guest_first || !op->guest_is_back) /* what nova means to do with it is known now */
        resume_guest(op, &image);
    log_debug("%s image was finished before", image ? "an" : "no");
    if (can_begin_again(op, image))
        return !clear_for_another_try(op);
    resume_to_the_end(op, image);
    return true;
}
