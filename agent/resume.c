/* See resume.h. */
#include "agent/resume.h"

#include <errno.h>
#include <string.h>

#include "agent/disk_image.h"
#include "agent/ending.h"
#include "agent/snapshot.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"

/* Without data of ours to compare: the record alone tells whether Glance has taken the image. */
static bool is_record_only(const struct operation *op)
{
    return json_is_string(journal_last(op->record, "location")) ||
           journal_last(op->record, "volumes");
}

static int look_at_image(struct operation *op, struct error *err)
{
    struct glance_image image = {0};
    struct error failure = ERROR_INIT;
    int r = glance_image_get(op->agent->glance, op->request->context, op->arguments.image_id,
                             &image, &failure);
    bool active = r == 0 && strcmp(image.status, "active") == 0;
    glance_image_done(&image);
    if (active)
        return operation_image_is_complete(op, err);
    if (r < 0 && ending_passes(&failure)) {
        *err = failure;
        return r;
    }
    return 0;
}

/* Nothing that the image may refer to can be undone before this is known. */
static int find_out(struct operation *op, struct error *err)
{
    struct retry retry = ending_retry();
    struct error failure = ERROR_INIT;
    int r;
    if (op->image_complete || !op->upload_started || !is_record_only(op))
        return 0;
    while ((r = look_at_image(op, &failure)) < 0 && retry_wait(&retry, 0))
        failure = (struct error)ERROR_INIT;
    if (r < 0)
        *err = failure;
    return r;
}

/* What the driver has noted; a driver that cannot do it now is asked again at the end. */
static void bring_guest_back(struct operation *op, struct image_source **ret_image)
{
    struct error err = ERROR_INIT;
    if (!op->image_complete && journal_last(op->record, "driver") &&
        disk_image_recover(op, ret_image, &err) < 0)
        log_warning("the guest is not as it was yet, trying on: %s", err.message);
}

/* 0 when there is an image. */
static int go_on(struct operation *op, struct image_source *image, struct error *err)
{
    const char *format = json_string_value(journal_last(op->record, "image_format"));
    if (op->image_complete)
        return 0;
    if (operation_restore_failure(op, err))
        return -err->errnum;
    if (image && format) {
        log_info("its image of %llu bytes was finished, beginning image upload",
                 (unsigned long long)image->size_bytes);
        return disk_image_upload(op, image, format, err);
    }
    return error_set(err, EINTR, EXC_INTERNAL_ERROR,
                     "the snapshot agent ended while it took this snapshot");
}

void resume_operation(struct operation *op)
{
    struct error failure = ERROR_INIT;
    struct image_source *image = NULL;
    log_info("%s is brought to its end", op->request->method);
    bool guest_first = journal_last(op->record, "driver") && !is_record_only(op);
    if (guest_first) {
        (void)instance_turn_await(op->turn, NEVER_MS, &failure);
        bring_guest_back(op, &image);
    }
    recovery_guest_is_back(op->agent->recovery);
    (void)instance_turn_await(op->turn, NEVER_MS, &failure);
    if (find_out(op, &failure) < 0) {
        operation_leave(op, &failure);
        return;
    }
    if (!guest_first || !op->guest_is_back) /* what nova means to do with it is known now */
        bring_guest_back(op, &image);
    operation_begin_overseeing(op);
    overseer_set_phase(op->overseen, OVERSEEN_RUNS);
    int r = go_on(op, image, &failure);
    image_source_close(image);
    if (r == 0)
        (void)snapshot_conclude(op, &failure);
    operation_end_overseeing(op, &failure);
    operation_end(op, &failure);
}
