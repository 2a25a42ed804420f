/* SPDX-License-Identifier: Apache-2.0 */
/* See volume_backed.h. */
#include "agent/volume_backed.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/block_device.h"
#include "agent/conductor.h"
#include "agent/freezer.h"
#include "agent/image_provenance.h"
#include "agent/instance.h"
#include "agent/journal.h"
#include "agent/operation_state.h"
#include "agent/task_states.h"
#include "agent/volume_snapshots.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "conf/conf.h"
#include "driver/driver.h"
#include "glance_client/glance.h"

struct volume_backed {
    struct operation *op;
    json_t *mappings; /* of the instance; owned */
    struct volume_snapshots snapshots;
};

static struct volume_snapshots_owner snapshots_owner(const struct operation *op)
{
    const struct agent *agent = op->base.agent;
    return (struct volume_snapshots_owner){
        .cinder = agent->cinder,
        .context = op->base.admin,
        .instance_uuid = op->base.instance.uuid,
        .image_id = op->arguments.image_id,
        .timeout_ms = seconds_ms((unsigned)agent->conf->snapshot_agent.volume_snapshot_timeout),
    };
}

/* The snapshots are named after the image. */
static int look_at_volumes(struct volume_backed *work, struct error *err)
{
    struct operation *op = work->op;
    struct glance_image image = {0};
    const struct volume_snapshots_owner owner = snapshots_owner(op);
    int r = glance_image_get(op->base.agent->glance, op->base.admin, op->arguments.image_id, &image,
                             err);
    if (r < 0)
        return r;
    r = volume_snapshots_prepare(&work->snapshots, &owner, image.name ? image.name : "",
                                 work->mappings, err);
    glance_image_done(&image);
    if (r < 0)
        return r;
    if (work->snapshots.count == 0)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "instance %s has neither an image nor a volume", op->base.instance.uuid);
    return 0;
}

/* Looks at everything before anything is made. */
static int prepare_volumes(struct volume_backed *work, struct error *err)
{
    struct operation *op = work->op;
    struct agent *agent = op->base.agent;
    const struct instance *instance = &op->base.instance;
    int r = instance_request_load_properties(&op->base, err);
    if (r < 0)
        return r;
    r = conductor_mapping_list(agent->bus, op->base.admin, instance->uuid, &work->mappings, err);
    if (r < 0)
        return r;
    r = block_devices_check(work->mappings, err);
    if (r < 0)
        return r;
    r = plan_quiesce(agent->conf, instance, &op->quiesce, err);
    return r < 0 ? r : look_at_volumes(work, err);
}

/* A guest that does not run does not write; nova-api freezes active ones only. */
static int freeze_guest(struct operation *op, struct error *err)
{
    struct error failure = ERROR_INIT;
    const char *vm_state = instance_string(&op->base.instance, "vm_state");
    if (!op->quiesce.wanted)
        return 0;
    if (!vm_state || strcmp(vm_state, "active") != 0) {
        plan_no_quiesce(&op->quiesce, "the server is not active");
        return 0;
    }
    log_debug("freezing the guest for the snapshots of its volumes");
    int r = freezer_freeze(op->base.agent->freezer, op->base.instance.uuid, &failure);
    if (r == 0)
        return 0;
    if (op->quiesce.required) {
        *err = failure;
        return error_prepend(err, "os_require_quiesce is set, but");
    }
    plan_no_quiesce(&op->quiesce, failure.message);
    return 0;
}

/* Fails only when the snapshots must be of a frozen guest, and the deadline came before them. */
static int thaw_after_snapshots(struct operation *op, struct error *err)
{
    CANCEL_SHIELD();
    struct error failure = ERROR_INIT;
    struct freezer *freezer = op->base.agent->freezer;
    const char *uuid = op->base.instance.uuid;
    if (!op->quiesce.wanted)
        return 0;
    bool in_time = freezer_holds(freezer, uuid);
    if (freezer_thaw(freezer, uuid, &failure) < 0)
        log_error("cannot thaw the guest, will retry: %s", failure.message);
    if (in_time)
        return 0;
    if (op->quiesce.required)
        return error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR,
                         "Cinder took longer than freeze_deadline, so that the guest was thawed "
                         "before all snapshots were made");
    log_warning("the guest was thawed before Cinder had made all snapshots");
    plan_no_quiesce(&op->quiesce, "the guest was thawed before Cinder had made all snapshots");
    return 0;
}

static int snapshot_volumes(struct volume_backed *work, struct error *err)
{
    struct operation *op = work->op;
    struct error failure = ERROR_INIT;
    operation_enter(op, SUMMARY_COPY);
    operation_set_method(op, "snapshots of its volumes");
    int r = freeze_guest(op, err);
    if (r < 0)
        return r;
    failpoint("volumes:frozen");
    driver_tell_instant(&op->observer);
    (void)volume_snapshots_make(&work->snapshots, &failure);
    failpoint("volumes:made");
    struct error late = ERROR_INIT;
    if (thaw_after_snapshots(op, &late) < 0)
        error_join(&failure, &late);
    journal_mark(op->base.record, "snapshots", volume_snapshots_ids(&work->snapshots));
    failpoint("volumes:thawed");
    if (failure.errnum != 0) {
        *err = failure;
        return -failure.errnum;
    }
    op->summary.quiesce = op->quiesce.wanted ? SUMMARY_QUIESCE_YES : SUMMARY_QUIESCE_NO;
    image_provenance_note(op);
    log_debug("%zu volumes are snapshotted", work->snapshots.count);
    return 0;
}

/* The volumes from their snapshots, everything else as it is. Owned; NULL without memory. */
static json_t *image_mappings(const struct volume_backed *work)
{
    json_t *list = json_array();
    size_t i, next = 0;
    json_t *mapping;
    json_array_foreach (work->mappings, i, mapping) {
        json_t *entry;
        if (!block_device_is_present(mapping))
            continue;
        if (block_device_volume_id(mapping))
            entry = block_device_from_snapshot(work->snapshots.volumes[next++].id, mapping);
        else
            entry = block_device_for_image(mapping);
        if (json_array_append_new(list, entry) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *image_attributes(const struct volume_backed *work)
{
    const char *root = instance_string(&work->op->base.instance, "root_device_name");
    json_t *mappings = image_mappings(work);
    cleanup_free char *text = mappings ? json_dumps(mappings, 0) : NULL;
    json_decref(mappings);
    json_t *attributes =
        text ? json_pack("{s:s, s:s, s:s, s:s}", "disk_format", "raw", "container_format", "bare",
                         "bdm_v2", "True", "block_device_mapping", text)
             : NULL;
    if (attributes && root && root[0] != '\0')
        (void)json_object_set_new(attributes, "root_device_name", json_string(root));
    return attributes;
}

static int complete_image(struct volume_backed *work, struct error *err)
{
    struct operation *op = work->op;
    struct glance *glance = op->base.agent->glance;
    json_t *attributes = image_attributes(work);
    operation_enter(op, SUMMARY_UPLOAD);
    int r = attributes ? glance_image_update(glance, op->base.admin, op->arguments.image_id,
                                             attributes, err)
                       : error_nomem(err);
    json_decref(attributes);
    if (r == 0)
        image_provenance_tell(op);
    if (r == 0)
        r = operation_upload_starts(op, err);
    if (r < 0)
        return r;
    failpoint("volumes:properties-set");
    r = glance_image_activate_empty(glance, op->base.admin, op->arguments.image_id, err);
    failpoint("volumes:activated");
    return r < 0 ? r : operation_image_is_complete(op, err);
}

static int make_image(struct volume_backed *work, struct error *err)
{
    struct operation *op = work->op;
    int r = prepare_volumes(work, err);
    if (r < 0)
        return r;
    r = operation_state_move_to(op, IMAGE_PENDING_UPLOAD, err);
    if (r < 0)
        return r;
    r = journal_note(op->base.record, "volumes", volume_snapshots_note(&work->snapshots), err);
    if (r < 0)
        return r;
    r = snapshot_volumes(work, err);
    if (r < 0)
        return r;
    r = operation_state_move_to(op, IMAGE_UPLOADING, err);
    return r < 0 ? r : complete_image(work, err);
}

int volume_backed_image_make(struct operation *op, struct error *err)
{
    struct volume_backed work = {.op = op};
    int r = make_image(&work, err);
    volume_snapshots_done(&work.snapshots);
    json_decref(work.mappings);
    return r;
}

int volume_backed_undo(struct operation *op, struct error *err)
{
    struct volume_snapshots snapshots;
    const json_t *note = journal_last(op->base.record, "volumes");
    if (!note)
        return 0;
    const struct volume_snapshots_owner owner = snapshots_owner(op);
    int r = volume_snapshots_restore(&snapshots, &owner, note,
                                     journal_last(op->base.record, "snapshots"), err);
    if (r == 0)
        r = volume_snapshots_undo(&snapshots, err);
    volume_snapshots_done(&snapshots);
    return r;
}
