/* SPDX-License-Identifier: Apache-2.0 */
/* How a live snapshot begins, and how its image is made. See live_snapshot.h. */
#include "driver/snapshot/live_snapshot.h"

#include <errno.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/block/block_job.h"
#include "driver/image/image_stream.h"
#include "driver/image/qemu_img.h"
#include "driver/journal.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/undefine_check.h"
#include "driver/snapshot/staged_image.h"

struct live_snapshot live_snapshot_of(struct libvirt_driver *driver, const struct guest_info *info,
                                      const struct snapshot_plan *plan)
{
    return (struct live_snapshot){
        .driver = driver,
        .info = info,
        .plan = plan,
        .owner = plan->owner,
        .quiesce = {.wanted = plan->quiesce,
                    .required = plan->require_quiesce,
                    .power_state = info->power_state},
        .freeze = {.connection = driver->connection,
                   .journal = plan->journal,
                   .timeout_s = driver->freeze_timeout_s},
        .copy = {.uuid = info->uuid,
                 .disk_target = info->disk_target,
                 .observer = plan->observer,
                 .stall_timeout_s = driver->stall_timeout_s,
                 .usual_bytes_per_s = &driver->disk_bytes_per_s,
                 .transient_job = plan->method == SNAPSHOT_METHOD_BLOCKCOPY},
        .backup = {.disk_target = info->disk_target},
        .may_be_stopped =
            plan->method == SNAPSHOT_METHOD_STREAM && info->power_state == POWER_STATE_RUNNING};
}

static json_t *live_entry(const struct live_snapshot *op)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s?, s:s?, s:b}", "step",
                     "begin", "method", "live", "by", snapshot_method_name(op->plan->method),
                     "uuid", op->info->uuid, "disk_path", op->info->disk_path, "disk_target",
                     op->info->disk_target, "directory", staging_directory(op->staging), "file",
                     staging_file(op->staging), "quiesce", op->quiesce.wanted, "may_be_stopped",
                     op->may_be_stopped, "definition", op->definition.xml, "live",
                     op->definition.live, "autostart", op->definition.autostart);
}

bool live_snapshot_is_streamed(const struct live_snapshot *op)
{
    return image_stream_can_make(op->plan->image_format, op->plan->compress);
}

int live_snapshot_check(const struct live_snapshot *op, struct error *err)
{
    int r = guest_quiesce_check(&op->quiesce, err);
    return r < 0 ? r : block_job_check_idle(op->domain, op->info->uuid, op->info->disk_target, err);
}

int live_snapshot_begin(struct live_snapshot *op, unsigned disk_space_parts, struct error *err)
{
    int r =
        staging_new(op->driver->snapshots_directory, op->driver->staging_mark, &op->staging, err);
    if (r < 0)
        return r;
    op->copy.overlay_path = op->backup.scratch_path = staging_delta_path(op->staging);
    op->backup.socket_path = staging_socket_path(op->staging);
    if (!live_snapshot_is_streamed(op))
        disk_space_parts |= DISK_SPACE_IMAGE;
    r = disk_space_need(op->info, disk_space_parts, &op->needed_bytes, err);
    if (r == 0)
        r = staged_image_reserve(op->staging, op->needed_bytes, op->driver,
                                 op->looks_only ? NULL : &op->space, err);
    if (r < 0)
        return r;
    if (op->plan->method == SNAPSHOT_METHOD_BLOCKREBASE)
        r = saved_definition_read(&op->definition, op->domain, err);
    if (r < 0)
        return r;
    r = op->looks_only ? undefine_check_kept(&op->definition, op->domain, err)
                       : undefine_check(&op->definition, op->domain, err);
    if (r < 0 || !op->plan->journal)
        return r;
    return driver_journal_write(op->plan->journal, live_entry(op), err);
}

int live_snapshot_give_delta(const struct live_snapshot *op, struct error *err)
{
    struct qemu_user user;
    struct error refused = ERROR_INIT;
    int r = libvirt_domain_user(op->domain, op->info->disk_path, &user, err);
    if (r < 0)
        return r;
    if (qemu_user_give(&user, staging_delta_path(op->staging), &refused) < 0)
        log_debug("cannot give QEMU the overlay, libvirt has to let it open it: %s",
                  refused.message);
    return 0;
}

int live_snapshot_unusable(const struct live_snapshot *op, struct error *err)
{
    if (virDomainIsActive(op->domain) == 1)
        err->errnum = EOPNOTSUPP;
    log_debug("%s %s: %s", snapshot_method_name(op->plan->method),
              err->errnum == EOPNOTSUPP ? "cannot be used for this guest" : "failed", err->message);
    return -err->errnum;
}

int live_snapshot_convert(struct live_snapshot *op, const char *source_path,
                          const char *source_format, struct error *err)
{
    struct qemu_img_conversion conversion =
        staged_image_conversion(op->staging, op->plan, op->driver);
    conversion.source_path = source_path;
    conversion.source_format = source_format;
    log_debug("converting the copy to %s", conversion.target_format);
    int r = qemu_img_convert(&conversion, err);
    if (r < 0)
        return r;
    failpoint("live:converted");
    r = staged_image_write(op->plan->journal, op->staging, STAGED_FILE, op->plan->image_format,
                           err);
    failpoint("live:image-written-down");
    return r;
}

void live_snapshot_give_files(struct live_snapshot *op)
{
    disk_space_release(TAKE_PTR(op->space)); /* all is written */
    op->staging = NULL;
}

int live_snapshot_open(struct live_snapshot *op, struct image_source **ret_image, struct error *err)
{
    int r = staging_remove_delta(op->staging, err);
    if (r < 0)
        return r;
    r = staging_open_image(op->staging, ret_image, err);
    if (r < 0)
        return r;
    live_snapshot_give_files(op);
    return 0;
}

void live_snapshot_done(struct live_snapshot *op)
{
    block_copy_done(&op->copy);
    saved_definition_done(&op->definition);
    disk_space_release(op->space);
    staging_free(op->staging);
    cleanup_free_domain(&op->domain);
}
