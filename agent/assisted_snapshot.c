/* SPDX-License-Identifier: Apache-2.0 */
/* See assisted_snapshot.h. nova.virt.libvirt.driver:volume_snapshot_create, volume_snapshot_delete.
 */
#include "agent/assisted_snapshot.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/conductor.h"
#include "agent/freeze_ledger.h"
#include "agent/freezer.h"
#include "agent/instance_queue.h"
#include "agent/instance_request.h"
#include "agent/journal.h"
#include "agent/plan.h"
#include "agent/recover.h"
#include "agent/report.h"
#include "amqp/bus.h"
#include "cinder_client/cinder.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/json.h"
#include "common/log.h"
#include "conf/conf.h"
#include "driver/driver.h"

#define PROGRESS "90%" /* cinder.volume.drivers.remotefs waits for it */

struct assisted_snapshot {
    struct instance_request base;
    const char *volume_id;
    const char *snapshot_id;
    json_t *info; /* create_info or delete_info; borrowed, NULL when it is no object */
};

/* The arguments every such request has. Borrows. */
static int parse_arguments(const struct rpc_request *request, struct assisted_snapshot *op,
                           struct error *err)
{
    bool creates = strcmp(request->method, "volume_snapshot_create") == 0;
    json_t *info = json_object_get(request->args, creates ? "create_info" : "delete_info");
    const char *volume_id = json_string_member(request->args, "volume_id");
    const char *snapshot_id = json_string_member(creates ? info : request->args, "snapshot_id");
    if (!id_is_uuid(volume_id))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "argument 'volume_id' of %s is no UUID",
                         request->method);
    if (!id_is_uuid(snapshot_id))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s of %s has no valid snapshot_id",
                         creates ? "create_info" : "the request", request->method);
    op->volume_id = volume_id;
    op->snapshot_id = snapshot_id;
    op->info = json_is_object(info) ? info : NULL;
    return 0;
}

int assisted_snapshot_check(const struct rpc_request *request, struct error *err)
{
    struct assisted_snapshot op;
    return parse_arguments(request, &op, err);
}

static int check_snapshot_type(const struct assisted_snapshot *op, const char *what,
                               struct error *err)
{
    const char *type = json_string_member(op->info, "type");
    if (type && strcmp(type, "qcow2") == 0)
        return 0;
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s: Unknown type: %.64s", what,
                     type ? type : "(none)");
}

/* The driver finds out by itself what it has done. */
static int note_nothing(void *arg, const json_t *entry, struct error *err)
{
    (void)arg, (void)entry, (void)err;
    return 0;
}

static int note_frozen(void *arg, bool frozen, struct error *err)
{
    const struct assisted_snapshot *op = arg;
    return freeze_ledger_note(op->base.agent->freeze_ledger, op->base.instance.uuid, frozen, err);
}

static int add_layer(struct assisted_snapshot *op, struct error *err)
{
    struct agent *agent = op->base.agent;
    const struct driver_journal journal = {note_nothing, note_frozen, op};
    struct volume_overlay overlay = {.volume_id = op->volume_id, .journal = &journal};
    struct plan_quiesce quiesce = {.wanted = false};
    int r = check_snapshot_type(op, "create_info", err);
    if (r < 0)
        return r;
    r = json_need_string(op->info, "new_file", "create_info", &overlay.new_file, err);
    if (r < 0)
        return r;
    r = instance_request_load_properties(&op->base, err);
    if (r < 0)
        return r;
    r = plan_quiesce(agent->conf, &op->base.instance, &quiesce, err);
    if (r < 0)
        return r;
    if (freezer_holds(agent->freezer, op->base.instance.uuid)) /* whoever froze it thaws it */
        plan_no_quiesce(&quiesce, "it is frozen already");
    overlay.quiesce = quiesce.wanted;
    overlay.require_quiesce = quiesce.required;
    log_debug("volume %s: a new layer %s, %s", op->volume_id, overlay.new_file,
              overlay.quiesce ? "of a frozen guest" : "without a freeze");
    return agent->driver->ops->volume_snapshot_create(agent->driver, op->base.instance.uuid,
                                                      &overlay, err);
}

/* A member that is null or a string. */
static int optional_string(const struct assisted_snapshot *op, const char *key,
                           const char **ret_string, struct error *err)
{
    const json_t *value = json_object_get(op->info, key);
    if (value && !json_is_null(value) && !json_is_string(value))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "delete_info: '%s' is no string", key);
    *ret_string = json_string_value(value);
    return 0;
}

static int take_layer_out(struct assisted_snapshot *op, struct error *err)
{
    struct agent *agent = op->base.agent;
    struct volume_merge merge = {.volume_id = op->volume_id};
    int r = check_snapshot_type(op, "delete_info", err);
    if (r < 0)
        return r;
    r = optional_string(op, "file_to_merge", &merge.file_to_merge, err);
    if (r < 0)
        return r;
    r = optional_string(op, "merge_target_file", &merge.merge_target_file, err);
    if (r < 0)
        return r;
    return agent->driver->ops->volume_snapshot_delete(agent->driver, op->base.instance.uuid, &merge,
                                                      err);
}

static void tell_cinder(struct assisted_snapshot *op, const char *status)
{
    jobs_set_phase(&op->base.job, "Cinder");
    struct error err = ERROR_INIT;
    log_debug("telling Cinder that snapshot %s is %s", op->snapshot_id, status);
    int r = cinder_snapshot_update_status(op->base.agent->cinder, op->base.request->context,
                                          op->snapshot_id, status, PROGRESS, &err);
    if (r < 0)
        log_error("cannot tell Cinder that snapshot %s is %s: %s", op->snapshot_id, status,
                  err.message);
}

/*
 * What Cinder does not know of the mapping: what nova keeps in it (DriverVolumeBlockDevice), and
 * that the file on top is a layer now. With the format that Cinder goes on naming, of the volume
 * without layers, the next start would show the guest the qcow2 file itself.
 */
static int complete_connection_info(const struct assisted_snapshot *op, const json_t *mapping,
                                    json_t *info, struct error *err)
{
    json_t *old = json_parse_member(mapping, "connection_info");
    json_t *multipath_id = json_object_get(json_object_get(old, "data"), "multipath_id");
    json_t *data = json_object_get(info, "data");
    int r = 0;
    if (json_is_true(json_object_get(old, "multiattach")))
        r |= json_object_set(info, "multiattach", json_true());
    if (!json_object_get(info, "serial"))
        r |= json_object_set_new(info, "serial", json_string(op->volume_id));
    if (multipath_id)
        r |= json_object_set(data, "multipath_id", multipath_id);
    if (json_object_get(data, "format"))
        r |= json_object_set_new(data, "format", json_string("qcow2"));
    json_decref(old);
    return r == 0 ? 0 : error_nomem(err);
}

static int save_connection_info(struct assisted_snapshot *op, json_t *mapping, struct error *err)
{
    struct agent *agent = op->base.agent;
    json_t *info = NULL;
    const char *attachment_id;
    int r = json_need_string(mapping, "attachment_id", "the volume's mapping", &attachment_id, err);
    if (r < 0)
        return r;
    r = cinder_attachment_connection_info(agent->cinder, op->base.request->context, attachment_id,
                                          &info, err);
    if (r == 0)
        r = complete_connection_info(op, mapping, info, err);
    if (r == 0)
        r = conductor_mapping_save_connection_info(agent->bus, op->base.admin, mapping, info, err);
    json_decref(info);
    return r;
}

/* The next start of the guest must find the file it writes to now. */
static void refresh_connection_info(struct assisted_snapshot *op)
{
    struct error err = ERROR_INIT;
    json_t *mapping = NULL;
    log_debug("volume %s: refreshing its connection_info", op->volume_id);
    int r = conductor_mapping_of_volume(op->base.agent->bus, op->base.admin, op->base.instance.uuid,
                                        op->volume_id, &mapping, &err);
    if (r == 0)
        r = save_connection_info(op, mapping, &err);
    json_decref(mapping);
    if (r < 0)
        log_error("cannot refresh the connection_info of volume %s: %s", op->volume_id,
                  err.message);
}

static uint64_t timeout_s(const struct assisted_snapshot *op)
{
    return (uint64_t)op->base.agent->conf->snapshot_agent.volume_snapshot_timeout;
}

/* Cinder names the new file in the attachment once it has finished the snapshot. */
static void await_cinder(struct assisted_snapshot *op)
{
    struct error err = ERROR_INIT;
    struct cinder_snapshot snapshot = {0};
    struct agent *agent = op->base.agent;
    int r = cinder_snapshot_await(agent->cinder, op->base.request->context, op->snapshot_id,
                                  clock_now_ms() + timeout_s(op) * 1000, &snapshot, &err);
    if (r < 0)
        log_warning("cannot see whether Cinder has finished snapshot %s: %s", op->snapshot_id,
                    err.message);
    cinder_snapshot_done(&snapshot);
}

static void tell_failure(struct assisted_snapshot *op, const char *status,
                         const struct error *failure)
{
    tell_cinder(op, status);
    if (error_is(failure, EXC_INSTANCE_NOT_RUNNING))
        log_warning("%s: %s", op->base.request->method, failure->message);
    else
        report_failure(&op->base, failure);
}

/*
 * Cinder waits for whoever has the instance: a snapshot, which is worth more than the seconds that
 * one of a volume may come later. It gives up by itself after 600 s, or 7200 s for a layer that
 * goes (cinder.volume.drivers.remotefs), and would then take away a file that the guest is put on
 * afterwards; it hears of a failure well before that.
 */
static int await_turn(struct assisted_snapshot *op, uint64_t patience_s, struct error *err)
{
    struct error failure = ERROR_INIT;
    jobs_set_phase(&op->base.job, "turn");
    int r = instance_turn_await(op->base.turn, clock_now_ms() + patience_s * 1000, &failure);
    if (r == -ETIMEDOUT)
        return error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR,
                         "instance %s has been busy with another snapshot for %llu s",
                         op->base.instance.uuid, (unsigned long long)patience_s);
    if (r < 0)
        *err = failure;
    jobs_set_phase(&op->base.job, "guest's disk");
    return r;
}

/* To the new layer; then the guest is done with, and what follows is between Cinder and nova. */
static int create_snapshot(struct assisted_snapshot *op, struct error *err)
{
    int r = instance_request_begin(&op->base, err);
    if (r == 0)
        r = await_turn(op, timeout_s(op) * 4 / 5, err);
    if (r == 0)
        r = add_layer(op, err);
    instance_turn_pass(op->base.turn);
    return r;
}

static int delete_snapshot(struct assisted_snapshot *op, struct error *err)
{
    int r = instance_request_begin(&op->base, err);
    if (r == 0)
        r = await_turn(op, timeout_s(op) * 10, err);
    if (r == 0)
        r = take_layer_out(op, err);
    instance_turn_pass(op->base.turn);
    return r;
}

/* assisted_snapshot_check() has found the arguments good. */
static struct assisted_snapshot assisted_snapshot_of(const struct instance_request *handed_over)
{
    struct assisted_snapshot op = {.base = *handed_over};
    struct error none = ERROR_INIT;
    (void)parse_arguments(op.base.request, &op, &none);
    return op;
}

void assisted_snapshot_create_serve(const struct instance_request *handed_over)
{
    struct assisted_snapshot op = assisted_snapshot_of(handed_over);
    struct error failure = ERROR_INIT;
    if (create_snapshot(&op, &failure) < 0) {
        tell_failure(&op, "error", &failure);
    } else {
        log_info("Volume %s has its new layer for snapshot %s", op.volume_id, op.snapshot_id);
        tell_cinder(&op, "creating");
        await_cinder(&op);
        refresh_connection_info(&op);
    }
    journal_end(op.base.record);
    instance_request_end(&op.base);
}

void assisted_snapshot_delete_serve(const struct instance_request *handed_over)
{
    struct assisted_snapshot op = assisted_snapshot_of(handed_over);
    struct error failure = ERROR_INIT;
    if (delete_snapshot(&op, &failure) < 0) {
        tell_failure(&op, "error_deleting", &failure);
    } else {
        log_info("Volume %s is without the layer of snapshot %s", op.volume_id, op.snapshot_id);
        tell_cinder(&op, "deleting");
        refresh_connection_info(&op);
    }
    journal_end(op.base.record);
    instance_request_end(&op.base);
}

/* One that was never acked is given to somebody by the broker. */
static bool is_our_request(const struct instance_request *handed_over)
{
    recovery_guest_is_back(handed_over->agent->recovery);
    if (journal_last(handed_over->record, "acked"))
        return true;
    journal_end(handed_over->record);
    rpc_request_free(handed_over->request);
    return false;
}

void assisted_snapshot_create_recover(const struct instance_request *handed_over)
{
    if (is_our_request(handed_over))
        assisted_snapshot_create_serve(handed_over);
}

void assisted_snapshot_delete_recover(const struct instance_request *handed_over)
{
    if (is_our_request(handed_over))
        assisted_snapshot_delete_serve(handed_over);
}
