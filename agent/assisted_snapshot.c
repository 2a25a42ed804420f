/* SPDX-License-Identifier: Apache-2.0 */
/* See assisted_snapshot.h. nova.virt.libvirt.driver:volume_snapshot_create, volume_snapshot_delete.
 */
#include "agent/assisted_snapshot.h"

#include <errno.h>
#include <string.h>

#include "agent/conductor.h"
#include "agent/freeze_ledger.h"
#include "agent/freezer.h"
#include "agent/instance_request.h"
#include "agent/plan.h"
#include "agent/recover.h"
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
static int parse(const struct rpc_request *request, struct assisted_snapshot *op, struct error *err)
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
    return parse(request, &op, err);
}

static int check_type(const struct assisted_snapshot *op, const char *what, struct error *err)
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
    int r = check_type(op, "create_info", err);
    if (r == 0)
        r = json_need_string(op->info, "new_file", "create_info", &overlay.new_file, err);
    if (r == 0)
        r = instance_request_load_properties(&op->base, err);
    if (r == 0)
        r = plan_quiesce(agent->conf, &op->base.instance, &overlay.quiesce,
                         &overlay.require_quiesce, err);
    if (freezer_holds(agent->freezer, op->base.instance.uuid)) /* whoever froze it thaws it */
        overlay.quiesce = overlay.require_quiesce = false;
    return r < 0 ? r
                 : agent->driver->ops->volume_snapshot_create(agent->driver, op->base.instance.uuid,
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
    int r = check_type(op, "delete_info", err);
    if (r == 0)
        r = optional_string(op, "file_to_merge", &merge.file_to_merge, err);
    if (r == 0)
        r = optional_string(op, "merge_target_file", &merge.merge_target_file, err);
    return r < 0 ? r
                 : agent->driver->ops->volume_snapshot_delete(agent->driver, op->base.instance.uuid,
                                                              &merge, err);
}

static void tell_cinder(struct assisted_snapshot *op, const char *status)
{
    struct error err = ERROR_INIT;
    int r = cinder_snapshot_update_status(op->base.agent->cinder, op->base.request->context,
                                          op->snapshot_id, status, PROGRESS, &err);
    if (r < 0)
        log_error("Cinder does not know that snapshot %s is %s: %s", op->snapshot_id, status,
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
    if (r == 0)
        r = cinder_attachment_connection_info(agent->cinder, op->base.request->context,
                                              attachment_id, &info, err);
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
    int r = conductor_volume_mapping(op->base.agent->bus, op->base.admin, op->base.instance.uuid,
                                     op->volume_id, &mapping, &err);
    if (r == 0)
        r = save_connection_info(op, mapping, &err);
    json_decref(mapping);
    if (r < 0)
        log_error("the connection_info of volume %s is not refreshed: %s", op->volume_id,
                  err.message);
}

/* Cinder names the new file in the attachment once it has finished the snapshot. */
static void await_cinder(struct assisted_snapshot *op)
{
    struct error err = ERROR_INIT;
    struct cinder_snapshot snapshot = {0};
    struct agent *agent = op->base.agent;
    uint64_t timeout_ms = (uint64_t)agent->conf->snapshot_agent.volume_snapshot_timeout * 1000;
    int r = cinder_snapshot_await(agent->cinder, op->base.request->context, op->snapshot_id,
                                  clock_now_ms() + timeout_ms, &snapshot, &err);
    if (r < 0)
        log_warning("no news of snapshot %s: %s", op->snapshot_id, err.message);
    cinder_snapshot_done(&snapshot);
}

static void fail(struct assisted_snapshot *op, const char *status, const struct error *failure)
{
    tell_cinder(op, status);
    if (error_is(failure, EXC_INSTANCE_NOT_RUNNING))
        log_warning("%s: %s", op->base.request->method, failure->message);
    else
        instance_request_failed(&op->base, failure);
}

static int begin(struct assisted_snapshot *op, struct agent *agent, struct rpc_request *request,
                 struct error *err)
{
    struct error none = ERROR_INIT; /* assisted_snapshot_check() has found it good */
    (void)parse(request, op, &none);
    return instance_request_begin(&op->base, agent, request, err);
}

/*
 * Cinder waits for whoever has the instance: a snapshot, which is worth more than the seconds that
 * one of a volume may come later. It gives up by itself after 600 s, or 7200 s for a layer that
 * goes (cinder.volume.drivers.remotefs), and would then take away a file that the guest is put on
 * afterwards; it hears of a failure well before that.
 */
static int await_turn(const struct assisted_snapshot *op, struct instance_turn *turn,
                      uint64_t patience_s, struct error *err)
{
    struct error failure = ERROR_INIT;
    int r = instance_turn_await(turn, clock_now_ms() + patience_s * 1000, &failure);
    if (r == -ETIMEDOUT)
        return error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR,
                         "instance %s has been busy with another snapshot for %llu s",
                         op->base.instance.uuid, (unsigned long long)patience_s);
    if (r < 0)
        *err = failure;
    return r;
}

static uint64_t create_patience_s(const struct agent *agent)
{
    return (uint64_t)agent->conf->snapshot_agent.volume_snapshot_timeout * 4 / 5;
}

static uint64_t delete_patience_s(const struct agent *agent)
{
    return (uint64_t)agent->conf->snapshot_agent.volume_snapshot_timeout * 10;
}

void assisted_snapshot_create_serve(struct agent *agent, struct rpc_request *request,
                                    struct journal_record *record, struct instance_turn *turn)
{
    struct assisted_snapshot op = {0};
    struct error failure = ERROR_INIT;
    int r = begin(&op, agent, request, &failure);
    if (r == 0)
        r = await_turn(&op, turn, create_patience_s(agent), &failure);
    if (r == 0)
        r = add_layer(&op, &failure);
    instance_turn_pass(turn); /* the guest is done with: what follows is between Cinder and nova */
    if (r < 0) {
        fail(&op, "error", &failure);
    } else {
        log_info("Volume %s has its new layer for snapshot %s", op.volume_id, op.snapshot_id);
        tell_cinder(&op, "creating");
        await_cinder(&op);
        refresh_connection_info(&op);
    }
    journal_end(record);
    instance_request_end(&op.base);
}

void assisted_snapshot_delete_serve(struct agent *agent, struct rpc_request *request,
                                    struct journal_record *record, struct instance_turn *turn)
{
    struct assisted_snapshot op = {0};
    struct error failure = ERROR_INIT;
    int r = begin(&op, agent, request, &failure);
    if (r == 0)
        r = await_turn(&op, turn, delete_patience_s(agent), &failure);
    if (r == 0)
        r = take_layer_out(&op, &failure);
    instance_turn_pass(turn); /* the guest is done with: what follows is between Cinder and nova */
    if (r < 0) {
        fail(&op, "error_deleting", &failure);
    } else {
        log_info("Volume %s is without the layer of snapshot %s", op.volume_id, op.snapshot_id);
        tell_cinder(&op, "deleting");
        refresh_connection_info(&op);
    }
    journal_end(record);
    instance_request_end(&op.base);
}

/* One that was never acked is given to somebody by the broker. */
static bool is_ours(struct agent *agent, struct rpc_request *request, struct journal_record *record)
{
    recovery_guest_is_back(agent->recovery);
    if (journal_last(record, "acked"))
        return true;
    journal_end(record);
    rpc_request_free(request);
    return false;
}

void assisted_snapshot_create_recover(struct agent *agent, struct rpc_request *request,
                                      struct journal_record *record, struct instance_turn *turn)
{
    if (is_ours(agent, request, record))
        assisted_snapshot_create_serve(agent, request, record, turn);
}

void assisted_snapshot_delete_recover(struct agent *agent, struct rpc_request *request,
                                      struct journal_record *record, struct instance_turn *turn)
{
    if (is_ours(agent, request, record))
        assisted_snapshot_delete_serve(agent, request, record, turn);
}
