/* See disk_image.h. nova.virt.libvirt.driver:snapshot. */
#include "agent/disk_image.h"

#include "agent/direct_image.h"
#include "agent/image_record.h"
#include "common/log.h"

static int prepare(struct operation *op, struct error *err)
{
    struct driver *driver = op->agent->driver;
    struct glance_image image = {0};
    int r = driver->ops->inspect(driver, op->arguments.instance.uuid, &op->info, err);
    if (r < 0)
        return r;
    r = glance_image_get(op->agent->glance, op->admin, op->arguments.image_id, &image, err);
    if (r < 0)
        return r;
    glance_image_done(&image);
    return plan_snapshot(op->agent->conf, &op->arguments.instance, &op->info, &op->plan, err);
}

/* From the guest's disk to a finished image on ours. */
static int extract(struct operation *op, struct snapshot_result *ret_result, struct error *err)
{
    struct driver *driver = op->agent->driver;
    slots_acquire(op->agent->disk_op_slots);
    int r = driver->ops->extract(driver, &op->info, &op->plan, ret_result, err);
    slots_release(op->agent->disk_op_slots);
    if (r < 0)
        return r;
    if (ret_result->guest_paused_ms > 0)
        log_info("the guest was down for %u ms", ret_result->guest_paused_ms);
    log_info("Snapshot extracted, %llu bytes%s, beginning image upload",
             (unsigned long long)ret_result->image->size_bytes,
             ret_result->quiesced ? ", quiesced" : "");
    return 0;
}

static int upload(struct operation *op, struct image_source *image, struct error *err)
{
    int r = image_record_update(op, op->plan.image_format, err);
    if (r < 0)
        return r;
    slots_acquire(op->agent->disk_op_slots);
    op->upload_started = true;
    r = glance_image_upload(op->agent->glance, op->admin, op->arguments.image_id, image, err);
    slots_release(op->agent->disk_op_slots);
    op->image_complete = r == 0;
    return r;
}

static int copy_and_upload(struct operation *op, struct error *err)
{
    struct snapshot_result result = {0};
    int r = extract(op, &result, err);
    if (r == 0)
        r = operation_move_to(op, IMAGE_UPLOADING, err);
    if (r == 0)
        r = upload(op, result.image, err);
    image_source_close(result.image);
    return r;
}

int disk_image_make(struct operation *op, struct error *err)
{
    bool made = false;
    int r = prepare(op, err);
    if (r == 0)
        r = operation_move_to(op, IMAGE_PENDING_UPLOAD, err);
    if (r == 0 && op->info.source_type == DISK_SOURCE_RBD)
        r = direct_image_make(op, &made, err);
    return r < 0 || made ? r : copy_and_upload(op, err);
}
