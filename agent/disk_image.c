/* SPDX-License-Identifier: Apache-2.0 */
/* See disk_image.h. nova.virt.libvirt.driver:snapshot. */
#include "agent/disk_image.h"

#include <errno.h>
#include <stdio.h>

#include "agent/agent.h"
#include "agent/canceller.h"
#include "agent/direct_image.h"
#include "agent/encryption.h"
#include "agent/freeze_ledger.h"
#include "agent/freezer.h"
#include "agent/image_properties.h"
#include "agent/image_provenance.h"
#include "agent/instance.h"
#include "agent/journal.h"
#include "agent/live_options.h"
#include "agent/operation_state.h"
#include "agent/slots.h"
#include "agent/task_states.h"
#include "agent/throttled_image.h"
#include "common/cancel.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "driver/driver.h"
#include "glance_client/glance.h"

#define COPY_PERCENT 50     /* of a snapshot; the rest is the upload, all where nothing is copied */
#define STATE_CHANGES_MAX 2 /* of the guest, within one snapshot */

/* What the operator wants to know when it was not what they have chosen. */
static void note_reason(struct operation *op, const char *reason)
{
    (void)snprintf(op->method_reason, sizeof(op->method_reason), "%s", reason);
}

/* Where nova, too, takes a cold snapshot instead of a blockRebase, nobody has to be told. */
static bool is_novas_rule(const struct operation *op)
{
    return op->wanted_method == SNAPSHOT_METHOD_BLOCKREBASE;
}

static int make_plan(struct operation *op, struct error *err)
{
    const struct agent *agent = op->base.agent;
    const char *reason = NULL;
    op->method_reason[0] = '\0';
    op->wanted_method = live_options_get(agent->live_options).wanted_method;
    const struct plan_input input = {.conf = agent->conf,
                                     .wanted = op->wanted_method,
                                     .instance = &op->base.instance,
                                     .info = &op->info};
    int r = plan_snapshot(&input, &op->plan, &op->quiesce, &reason, err);
    if (r < 0)
        return r;
    plan_tell(&op->info, &op->plan, reason);
    if (reason && !is_novas_rule(op))
        note_reason(op, reason);
    if (freezer_holds(agent->freezer, op->base.instance.uuid)) { /* whoever froze it thaws it */
        plan_no_quiesce(&op->quiesce, "it is frozen already");
        op->plan.quiesce = op->plan.require_quiesce = false;
    }
    return 0;
}

static int inspect_guest(struct operation *op, struct error *err)
{
    struct driver *driver = op->base.agent->driver;
    const struct instance *instance = &op->base.instance;
    const struct guest_id guest = {
        .uuid = instance->uuid, .root_device_name = instance_string(instance, "root_device_name")};
    return driver->ops->inspect(driver, &guest, &op->info, err);
}

static int prepare_snapshot(struct operation *op, struct error *err)
{
    struct glance_image image = {0};
    int r = encryption_check(op->base.agent->conf, &op->base.instance, err);
    if (r < 0)
        return r;
    r = inspect_guest(op, err);
    if (r < 0)
        return r;
    log_debug("root disk %s, format %s, guest in power state %d", op->info.disk_path,
              op->info.disk_format, (int)op->info.power_state);
    if (op->info.source_type == DISK_SOURCE_FILE)
        canceller_set_disk(op->cancellable, op->info.disk_path);
    r = glance_image_get(op->base.agent->glance, op->base.admin, op->arguments.image_id, &image,
                         err);
    if (r < 0)
        return r;
    log_debug("image %s is in status %s", op->arguments.image_id,
              image.status ? image.status : "(none)");
    glance_image_done(&image);
    failpoint("disk:prepared");
    return make_plan(op, err);
}

/* The driver found that the method that was planned before cannot be used: `why`. */
static void tell_change(struct operation *op, enum snapshot_method before, const struct error *why)
{
    log_warning("falling back from %s to %s: %s", snapshot_method_name(before),
                snapshot_method_name(op->plan.method), why->message);
    note_reason(op, why->message);
}

static bool take_next_method(struct operation *op, const struct error *why)
{
    enum snapshot_method refused = op->plan.method;
    if (!plan_next_method(op->base.agent->conf, op->wanted_method, &op->info, &op->plan))
        return false;
    tell_change(op, refused, why);
    return true;
}

static int extract_as_planned(struct operation *op, struct snapshot_result *ret_result,
                              struct error *err)
{
    struct driver *driver = op->base.agent->driver;
    operation_set_method(op, snapshot_method_name(op->plan.method));
    jobs_set_span(&op->base.job, 0, COPY_PERCENT);
    return driver->ops->extract(driver, &op->info, &op->plan, ret_result, err);
}

/* There is no room for what the planned method writes, *err: stream writes next to nothing. */
static int stream_for_want_of_room(struct operation *op, struct snapshot_result *ret_result,
                                   struct error *err)
{
    struct error failure = ERROR_INIT;
    enum snapshot_method before = op->plan.method;
    op->plan.method = SNAPSHOT_METHOD_STREAM;
    tell_change(op, before, err);
    int r = extract_as_planned(op, ret_result, &failure);
    if (r == 0)
        return 0;
    if (r != -EOPNOTSUPP)
        *err = failure;
    return -err->errnum;
}

static int extract_by_any_method(struct operation *op, struct snapshot_result *ret_result,
                                 struct error *err)
{
    bool may_stream = plan_can_stream(op->base.agent->conf, &op->info) &&
                      op->plan.method != SNAPSHOT_METHOD_STREAM;
    for (;;) {
        struct error failure = ERROR_INIT;
        int r = extract_as_planned(op, ret_result, &failure);
        if (r == 0)
            return 0;
        if (r == -EOPNOTSUPP && take_next_method(op, &failure))
            continue;
        *err = failure;
        return r == -ENOSPC && may_stream ? stream_for_want_of_room(op, ret_result, err) : r;
    }
}

/* `phase` is what the slot is for. */
static int acquire_disk_op_slot(struct operation *op, enum summary_phase phase, struct error *err)
{
    operation_enter(op, SUMMARY_SLOT);
    int r = slots_acquire(op->base.agent->disk_op_slots, err);
    if (r < 0)
        return r;
    operation_enter(op, phase);
    return 0;
}

/* As the driver was told it; a copy that can follow a change asks for itself. */
static void note_disk_limit(struct operation *op)
{
    const struct agent *agent = op->base.agent;
    const struct live_values live = live_options_get(agent->live_options);
    unsigned snapshots = slots_usage(agent->snapshot_slots).limit;
    jobs_set_disk_limit(&op->base.job, live_options_disk_share(&live, snapshots));
}

/* From the guest's disk to an image: a finished one on ours, or one that is made as it is read. */
static int extract_image(struct operation *op, struct snapshot_result *ret_result,
                         struct error *err)
{
    int r = acquire_disk_op_slot(op, SUMMARY_COPY, err);
    if (r < 0)
        return r;
    op->plan.journal = &op->driver_journal;
    op->plan.owner = &op->driver_owner;
    op->plan.observer = &op->observer;
    note_disk_limit(op);
    r = extract_by_any_method(op, ret_result, err);
    slots_release(op->base.agent->disk_op_slots);
    op->is_streamed = r == 0 && ret_result->streamed;
    op->guest_is_back = r == 0 && ret_result->guest_is_back;
    if (r < 0)
        return r;
    log_debug("extracted: %llu bytes as %s, %s", (unsigned long long)ret_result->image->size_bytes,
              op->plan.image_format,
              op->is_streamed ? "read from the guest's disk as it is sent" : "on a disk of ours");
    op->summary.quiesce = ret_result->quiesced ? SUMMARY_QUIESCE_YES : SUMMARY_QUIESCE_NO;
    image_provenance_note(op);
    failpoint("disk:extracted");
    if (ret_result->guest_paused_ms > 0)
        log_info("the guest was down for %u ms", ret_result->guest_paused_ms);
    log_debug("Snapshot extracted, beginning image upload");
    return 0;
}

/* What is read from a backup job, or from a stopped guest's disk, was not copied before. */
static unsigned percent_before_upload(const struct operation *op)
{
    return op->is_streamed && op->plan.method == SNAPSHOT_METHOD_STREAM ? 0 : COPY_PERCENT;
}

/* A streamed image is read from the disk as it is sent: the limits of both hold. */
static int upload_within_limits(struct operation *op, struct image_source *image, struct error *err)
{
    const struct agent *agent = op->base.agent;
    const struct live_values live = live_options_get(agent->live_options);
    struct throttled_image throttled;
    uint64_t disk_bytes_per_s = op->is_streamed ? live.disk_bytes_per_s : 0;
    log_debug("uploading %llu bytes, limit %llu bytes/s, of the disk %llu (0 = none)",
              (unsigned long long)image->size_bytes, (unsigned long long)live.upload_bytes_per_s,
              (unsigned long long)disk_bytes_per_s);
    int r = throttled_image_begin(&throttled, image, &op->base.job, live.upload_bytes_per_s,
                                  disk_bytes_per_s, err);
    if (op->is_streamed) {
        jobs_set_disk_limit(&op->base.job, disk_bytes_per_s);
        jobs_set_throttle(&op->base.job, JOB_DISK, throttled.disk);
    }
    throttled.shared[0] = agent->upload_throttle;
    throttled.shared[1] = op->is_streamed ? agent->disk_throttle : NULL;
    if (r == 0)
        r = glance_image_upload(agent->glance, op->base.admin, op->arguments.image_id,
                                &throttled.base, err);
    throttled_image_done(&throttled);
    return r;
}

int disk_image_upload(struct operation *op, struct image_source *image, const char *image_format,
                      struct error *err)
{
    int r = operation_state_move_to(op, IMAGE_UPLOADING, err);
    failpoint("disk:uploading");
    if (r == 0 && !op->upload_started) { /* Glance may have it all by now: no more changes then */
        r = image_properties_update(op, image_format, err);
        if (r == 0)
            r = operation_upload_starts(op, err);
    }
    failpoint("disk:properties-set");
    if (r == 0)
        r = acquire_disk_op_slot(op, SUMMARY_UPLOAD, err);
    if (r < 0)
        return r;
    jobs_set_span(&op->base.job, percent_before_upload(op), 100);
    r = upload_within_limits(op, image, err);
    slots_release(op->base.agent->disk_op_slots);
    failpoint("disk:uploaded");
    if (r < 0)
        return r;
    op->summary.image_bytes = image->size_bytes;
    return operation_image_is_complete(op, err);
}

void disk_image_let_go(const struct operation *op, struct image_source *image, int r)
{
    if (operation_is_left(op, r))
        image_source_leave(image);
    else
        image_source_close(image);
}

/* The guest's disk need not be shown to us any longer. What fails is tried again at the end. */
static void end_stream(struct operation *op)
{
    struct error failure = ERROR_INIT;
    if (disk_image_undo(op, &failure) < 0)
        log_warning("guest not restored yet, will retry: %s", failure.message);
}

static int copy_and_upload(struct operation *op, struct error *err)
{
    struct snapshot_result result = {0};
    journal_mark(op->base.record, "image_format", json_string(op->plan.image_format));
    int r = extract_image(op, &result, err);
    if (r == 0)
        r = disk_image_upload(op, result.image, op->plan.image_format, err);
    failpoint("disk:image-complete");
    bool opened = result.image != NULL;
    disk_image_let_go(op, result.image, r);
    if (opened)
        end_stream(op);
    return r;
}

/*
 * A guest that was started, resumed or stopped while its disk was read takes the disk of its
 * instant with it. What is on the disk now is what its tenant would get who asked for the snapshot
 * now. What was begun has to be undone before anything else may begin.
 */
static bool has_changed_meanwhile(struct operation *op, const struct error *failure)
{
    struct error ignored = ERROR_INIT;
    enum power_state planned_for = op->info.power_state;
    return !op->image_complete && cancel_check(&ignored) == 0 &&
           !error_is(failure, EXC_UNEXPECTED_TASK_STATE) && disk_image_undo(op, &ignored) == 0 &&
           inspect_guest(op, &ignored) == 0 &&
           (failure->errnum == ESTALE || op->info.power_state != planned_for);
}

static int make_of_any_state(struct operation *op, struct error *err)
{
    struct error failure = ERROR_INIT;
    int r = copy_and_upload(op, &failure);
    for (int i = 0; r < 0 && i < STATE_CHANGES_MAX && has_changed_meanwhile(op, &failure); i++) {
        log_warning("guest power state changed, starting the snapshot again: %s", failure.message);
        failure = (struct error)ERROR_INIT;
        r = make_plan(op, &failure);
        if (r == 0)
            r = copy_and_upload(op, &failure);
    }
    if (r < 0)
        *err = failure;
    return r;
}

int disk_image_make(struct operation *op, struct error *err)
{
    bool made = false;
    int r = prepare_snapshot(op, err);
    if (r == 0)
        r = operation_state_move_to(op, IMAGE_PENDING_UPLOAD, err);
    failpoint("disk:pending-upload");
    if (r == 0 && op->info.source_type == DISK_SOURCE_RBD)
        r = direct_image_make(op, &made, err);
    return r < 0 || made ? r : make_of_any_state(op, err);
}

int disk_image_recover(struct operation *op, struct image_source **ret_image, struct error *err)
{
    struct driver *driver = op->base.agent->driver;
    const char *uuid = op->base.instance.uuid;
    const struct driver_recovery recovery = {.uuid = uuid,
                                             .entries = journal_all(op->base.record, "driver"),
                                             .host_rebooted =
                                                 journal_host_rebooted(op->base.record),
                                             .owner = &op->driver_owner};
    int r = driver->ops->recover(driver, &recovery, ret_image, err);
    if (r < 0)
        return r;
    log_debug("the guest is as it was before");
    op->guest_is_back = true;
    freeze_ledger_remove(op->base.agent->freeze_ledger, uuid);
    return 0;
}

int disk_image_undo(struct operation *op, struct error *err)
{
    struct image_source *image = NULL;
    if (op->guest_is_back || !journal_last(op->base.record, "driver"))
        return 0;
    int r = disk_image_recover(op, &image, err);
    image_source_close(image);
    return r;
}
