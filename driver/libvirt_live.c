/*
 * The live snapshot, as nova's _live_snapshot: the root disk's top layer is copied into an overlay
 * of the same backing file, the copy is ended without a pivot, the overlay with its backing file is
 * converted into the image. The guest never stops.
 *
 * blockRebase takes no persistent domain, so the definition is taken away meanwhile: undo_live()
 * runs on every exit and puts back whatever the progress of each part says.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "driver/block_copy.h"
#include "driver/block_job.h"
#include "driver/guest_freeze.h"
#include "driver/guest_quiesce.h"
#include "driver/libvirt_driver.h"
#include "driver/qemu_img.h"
#include "driver/saved_definition.h"
#include "driver/staging.h"

struct live_snapshot {
    struct libvirt_driver *driver;
    const struct guest_info *info;
    const struct snapshot_plan *plan;
    virDomainPtr domain; /* owned; NULL when there is none any more */
    struct staging *staging;
    struct saved_definition definition;
    struct block_copy copy;
    struct guest_quiesce quiesce;
    struct guest_freeze freeze;
};

static int make_overlay(struct live_snapshot *op, struct error *err)
{
    const struct guest_info *info = op->info;
    int r = staging_new(op->driver->snapshots_directory, STAGING_TRAVERSABLE, &op->staging, err);
    if (r < 0)
        return r;
    bool is_qcow2 = strcmp(info->disk_format, "qcow2") == 0;
    bool has_backing = info->backing_path[0] != '\0';
    const struct qemu_img_overlay overlay = {
        .path = staging_delta_path(op->staging),
        .size_bytes = info->virtual_size_bytes,
        .cluster_size_bytes = is_qcow2 ? info->cluster_size_bytes : 0,
        .backing_path = has_backing ? info->backing_path : NULL,
        .backing_format = has_backing ? info->backing_format : NULL};
    op->copy.overlay_path = overlay.path;
    return qemu_img_create_overlay(&overlay, err);
}

static int thaw_guest(struct live_snapshot *op, struct error *err)
{
    return op->domain ? guest_freeze_end(&op->freeze, op->domain, err) : 0;
}

/* The point in time of the image. The guest's filesystems stand still for no more than this. */
static int end_copy(struct live_snapshot *op, bool *ret_quiesced, struct error *err)
{
    CANCEL_SHIELD();
    struct error failure = ERROR_INIT;
    int r = guest_quiesce_start(&op->quiesce, &op->freeze, op->domain, ret_quiesced, err);
    if (r == 0)
        r = block_copy_end(&op->copy, op->domain, err);
    if (thaw_guest(op, &failure) == 0)
        return r;
    error_join(err, &failure);
    return -err->errnum;
}

static int copy_disk(struct live_snapshot *op, bool *ret_quiesced, struct error *err)
{
    int r = guest_quiesce_check(&op->quiesce, err);
    if (r == 0)
        r = block_job_check_idle(op->domain, op->info->uuid, op->info->disk_target, err);
    if (r == 0)
        r = make_overlay(op, err);
    if (r == 0)
        r = saved_definition_take(&op->definition, op->domain, err);
    if (r == 0)
        r = block_copy_start(&op->copy, op->driver->connection, op->domain, err);
    if (r == 0)
        r = block_copy_await_ready(&op->copy, op->domain, err);
    if (r == 0)
        r = end_copy(op, ret_quiesced, err);
    return r < 0 ? r : block_copy_confirm_end(&op->copy, op->domain, err);
}

/*
 * A pointer of a lost connection is no good, nor is one to a domain that is gone. A guest that has
 * ended is neither frozen nor copied any more.
 */
static int find_domain_again(struct live_snapshot *op, struct error *err)
{
    struct error failure = ERROR_INIT;
    if (op->domain && virDomainIsActive(op->domain) == 1)
        return 0;
    if (op->domain)
        (void)virDomainFree(op->domain);
    op->domain = NULL;
    int r =
        libvirt_connection_find_domain(op->driver->connection, op->info->uuid, LIBVIRT_PATIENCE_MS,
                                       EXC_INSTANCE_NOT_FOUND, &op->domain, &failure);
    if (r < 0 && r != -ENOENT) {
        *err = failure;
        return r;
    }
    if (!op->domain || virDomainIsActive(op->domain) == 0) {
        op->freeze = (struct guest_freeze){0};
        op->copy.running = false;
    }
    return 0;
}

static int undo_copy(struct live_snapshot *op, struct error *err)
{
    return op->domain ? block_copy_undo(&op->copy, op->domain, err) : 0;
}

/* A guest that is gone with its disk was deleted: its definition would be a leftover. */
static bool was_deleted(const struct live_snapshot *op)
{
    struct stat st;
    return !op->domain && stat(op->info->disk_path, &st) < 0 && errno == ENOENT;
}

static int undo_undefine(struct live_snapshot *op, struct error *err)
{
    return was_deleted(op)
               ? 0
               : saved_definition_restore(&op->definition, op->driver->connection, op->domain, err);
}

static int undo_autostart(struct live_snapshot *op, struct error *err)
{
    return was_deleted(op) ? 0
                           : saved_definition_restore_autostart(
                                 &op->definition, op->driver->connection, op->info->uuid, err);
}

static int undo_agent_limit(struct live_snapshot *op, struct error *err)
{
    return op->domain ? guest_freeze_release_agent(&op->freeze, op->domain, err) : 0;
}

/* Every step runs, if need be twice, whatever became of the others; *err keeps the first error. */
static void undo_live(struct live_snapshot *op, struct error *err)
{
    CANCEL_SHIELD();
    int (*const steps[])(struct live_snapshot *, struct error *) = {
        find_domain_again, thaw_guest, undo_copy, undo_undefine, undo_autostart, undo_agent_limit,
    };
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        struct error failure = ERROR_INIT;
        if (steps[i](op, &failure) < 0 && steps[i](op, &failure) < 0)
            error_join(err, &failure);
    }
}

static int convert_overlay(struct live_snapshot *op, struct snapshot_result *result,
                           struct error *err)
{
    const struct qemu_img_conversion conversion = {.source_path = staging_delta_path(op->staging),
                                                   .source_format = "qcow2",
                                                   .target_path = staging_image_path(op->staging),
                                                   .target_format = op->plan->image_format,
                                                   .compress = op->plan->compress,
                                                   .stall_timeout_s = op->driver->stall_timeout_s};
    int r = qemu_img_convert(&conversion, err);
    if (r == 0)
        r = staging_remove_delta(op->staging, err);
    if (r == 0)
        r = staging_open_image(op->staging, &result->image, err);
    if (r == 0)
        op->staging = NULL;
    return r;
}

static void live_snapshot_done(struct live_snapshot *op)
{
    block_copy_done(&op->copy);
    saved_definition_done(&op->definition);
    staging_free(op->staging);
    if (op->domain)
        (void)virDomainFree(op->domain);
}

int libvirt_live_snapshot(struct libvirt_driver *driver, const struct guest_info *info,
                          const struct snapshot_plan *plan, struct snapshot_result *ret_result,
                          struct error *err)
{
    __attribute__((cleanup(live_snapshot_done))) struct live_snapshot op = {
        .driver = driver,
        .info = info,
        .plan = plan,
        .quiesce = {.wanted = plan->quiesce,
                    .required = plan->require_quiesce,
                    .power_state = info->power_state,
                    .timeout_s = driver->freeze_timeout_s},
        .copy = {.uuid = info->uuid,
                 .disk_target = info->disk_target,
                 .stall_timeout_s = driver->stall_timeout_s}};
    struct snapshot_result result = {0};
    struct error failure = ERROR_INIT;
    int r = libvirt_connection_find_domain(driver->connection, info->uuid, 0,
                                           EXC_INSTANCE_NOT_FOUND, &op.domain, err);
    if (r < 0)
        return r;
    (void)copy_disk(&op, &result.quiesced, &failure);
    undo_live(&op, &failure);
    if (failure.errnum == 0)
        (void)convert_overlay(&op, &result, &failure);
    if (failure.errnum != 0) {
        *err = failure;
        return -failure.errnum;
    }
    *ret_result = result;
    return 0;
}
