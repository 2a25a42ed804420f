/* See disk_image.h. nova.virt.libvirt.driver:snapshot. */
#include "agent/disk_image.h"

#include "agent/direct_image.h"
#include "agent/image_record.h"
#include "common/json.h"
#include "common/log.h"
#include "common/trap.h"

static int prepare(struct operation *op, struct error *err)
{
    struct driver *driver = op->agent->driver;
    struct glance_image image = {0};
    int r = driver->ops->inspect(driver, op->arguments.instance.uuid, &op->info, err);
    if (r < 0)
        return r;
    if (op->info.source_type == DISK_SOURCE_FILE)
        overseer_set_disk(op->overseen, op->info.disk_path);
    r = glance_image_get(op->agent->glance, op->admin, op->arguments.image_id, &image, err);
    if (r < 0)
        return r;
    glance_image_done(&image);
    trap("disk:prepared");
    return plan_snapshot(op->agent->conf, &op->arguments.instance, &op->info, &op->plan, err);
}

/* From the guest's disk to a finished image on ours. */
static int extract(struct operation *op, struct snapshot_result *ret_result, struct error *err)
{
    struct driver *driver = op->agent->driver;
    int r = slots_acquire(op->agent->disk_op_slots, err);
    if (r < 0)
        return r;
    op->plan.journal = &op->driver_journal;
    r = driver->ops->extract(driver, &op->info, &op->plan, ret_result, err);
    slots_release(op->agent->disk_op_slots);
    op->guest_is_back = r == 0;
    if (r < 0)
        return r;
    trap("disk:extracted");
    if (ret_result->guest_paused_ms > 0)
        log_info("the guest was down for %u ms", ret_result->guest_paused_ms);
    log_info("Snapshot extracted, %llu bytes%s, beginning image upload",
             (unsigned long long)ret_result->image->size_bytes,
             ret_result->quiesced ? ", quiesced" : "");
    return 0;
}

int disk_image_upload(struct operation *op, struct image_source *image, const char *image_format,
                      struct error *err)
{
    int r = operation_move_to(op, IMAGE_UPLOADING, err);
    trap("disk:uploading");
    if (r == 0 && !op->upload_started) { /* Glance may have it all by now: no more changes then */
        r = image_record_update(op, image_format, err);
        if (r == 0)
            r = operation_upload_starts(op, err);
    }
    trap("disk:record-updated");
    if (r == 0)
        r = slots_acquire(op->agent->disk_op_slots, err);
    if (r < 0)
        return r;
    r = glance_image_upload(op->agent->glance, op->admin, op->arguments.image_id, image, err);
    slots_release(op->agent->disk_op_slots);
    trap("disk:uploaded");
    return r < 0 ? r : operation_image_is_complete(op, err);
}

static int copy_and_upload(struct operation *op, struct error *err)
{
    struct snapshot_result result = {0};
    journal_mark(op->record, "image_format", json_string(op->plan.image_format));
    int r = extract(op, &result, err);
    if (r == 0)
        r = disk_image_upload(op, result.image, op->plan.image_format, err);
    image_source_close(result.image);
    return r;
}

int disk_image_make(struct operation *op, struct error *err)
{
    bool made = false;
    int r = prepare(op, err);
    if (r == 0)
        r = operation_move_to(op, IMAGE_PENDING_UPLOAD, err);
    trap("disk:pending-upload");
    if (r == 0 && op->info.source_type == DISK_SOURCE_RBD)
        r = direct_image_make(op, &made, err);
    return r < 0 || made ? r : copy_and_upload(op, err);
}

int disk_image_recover(struct operation *op, struct image_source **ret_image, struct error *err)
{
    struct driver *driver = op->agent->driver;
    const char *uuid = op->arguments.instance.uuid;
    int r = driver->ops->recover(driver, uuid, journal_all(op->record, "driver"),
                                 journal_host_rebooted(op->record), ret_image, err);
    if (r < 0)
        return r;
    op->guest_is_back = true;
    freeze_ledger_remove(op->agent->freeze_ledger, uuid);
    return 0;
}

int disk_image_undo(struct operation *op, struct error *err)
{
    struct image_source *image = NULL;
    if (op->guest_is_back || !journal_last(op->record, "driver"))
        return 0;
    int r = disk_image_recover(op, &image, err);
    image_source_close(image);
    return r;
}
