/* SPDX-License-Identifier: Apache-2.0 */
/* See quiesce.h. nova.compute.manager:quiesce_instance, unquiesce_instance. */
#include "agent/quiesce.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/freezer.h"
#include "agent/instance_queue.h"
#include "agent/instance_request.h"
#include "agent/plan.h"
#include "agent/release.h"
#include "agent/report.h"
#include "amqp/rpc.h"
#include "cinder_client/cinder.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "conf/conf.h"

/* The caller must hear of a freeze that is made: half of the time it waits is for waiting here. */
static int await_turn(struct instance_request *op, struct error *err)
{
    struct error failure = ERROR_INIT;
    uint64_t patience_ms = (uint64_t)op->agent->conf->DEFAULT.rpc_response_timeout * 1000 / 2;
    jobs_set_phase(&op->job, "turn");
    int r = instance_turn_await(op->turn, clock_now_ms() + patience_ms, &failure);
    if (r == -ETIMEDOUT)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "another snapshot of it is under way");
    if (r < 0)
        *err = failure;
    return r;
}

/*
 * nova.virt.libvirt.driver:_set_quiesced. nova-api makes an HTTP 409 of the newer class, and knows
 * none but nova's.
 */
static int quiesce_failed(const struct instance_request *op, const struct error *failure,
                          struct error *err)
{
    bool unresponsive = error_is(failure, EXC_INSTANCE_QUIESCE_FAILED);
    *err = *failure;
    if (error_is_novas(failure) && !unresponsive)
        return -err->errnum;
    if (unresponsive && release_has(op->agent->release, &op->instance, RELEASE_REFUSES_WITH_409))
        return error_set(err, failure->errnum, EXC_INSTANCE_QUIESCE_FAILED,
                         "Failed to quiesce instance: %s", failure->message);
    return error_set(err, failure->errnum, EXC_INTERNAL_ERROR,
                     "Error from libvirt while quiescing: %s", failure->message);
}

/*
 * Its turn lasts as long as the freeze is made, not as long as it lasts: what nova-api freezes the
 * guest for are requests on the same instance, which find it frozen (freezer_holds).
 */
static int freeze_guest(struct instance_request *op, struct error *err)
{
    struct error failure = ERROR_INIT;
    if (instance_request_begin(op, err) < 0 || instance_request_load_properties(op, err) < 0 ||
        plan_check_quiesce(op->agent->conf, &op->instance, err) < 0)
        return -err->errnum;
    int r = await_turn(op, &failure);
    jobs_set_phase(&op->job, "freeze");
    log_debug("freezing the guest%s", r < 0 ? " is not tried: its turn has not come" : "");
    if (r == 0)
        r = freezer_freeze(op->agent->freezer, op->instance.uuid, &failure);
    instance_turn_pass(op->turn);
    return r < 0 ? quiesce_failed(op, &failure, err) : 0;
}

/* A caller that hears nothing gives up and asks for the thaw, or the deadline does. */
static void answer_caller(struct instance_request *op, int r, const struct error *failure)
{
    struct error err = ERROR_INIT;
    struct bus *bus = op->agent->bus;
    int sent = r == 0 ? rpc_reply(bus, op->request, NULL, &err)
                      : rpc_fail(bus, op->request, failure, &err);
    if (sent < 0)
        log_warning("cannot answer the caller: %s", err.message);
}

void quiesce_freeze_serve(const struct instance_request *handed_over)
{
    struct instance_request op = *handed_over;
    struct error failure = ERROR_INIT;
    int r = freeze_guest(&op, &failure);
    answer_caller(&op, r, &failure);
    if (r < 0)
        report_failure(&op, &failure);
    else
        log_info("The guest is frozen for snapshots of its volumes");
    instance_request_end(&op);
}

static void await_snapshot(struct instance_request *op, const char *snapshot_id,
                           uint64_t deadline_ms)
{
    struct error err = ERROR_INIT;
    struct cinder_snapshot snapshot = {0};
    int r = cinder_snapshot_await(op->agent->cinder, op->admin, snapshot_id, deadline_ms, &snapshot,
                                  &err);
    if (r < 0)
        log_warning("cannot see whether snapshot %s is made, thawing the guest: %s", snapshot_id,
                    err.message);
    else if (strcmp(snapshot.status, "available") != 0)
        log_warning("snapshot %s is %s as the guest is thawed", snapshot_id, snapshot.status);
    cinder_snapshot_done(&snapshot);
}

/* The snapshots of the mapping are of the frozen guest only when it stands still until then. */
static void await_snapshots(struct instance_request *op)
{
    size_t i;
    json_t *mapping;
    uint64_t deadline_ms = clock_now_ms() + freezer_left_ms(op->agent->freezer, op->instance.uuid);
    log_debug("the guest stays frozen until its %zu mappings are snapshotted",
              json_array_size(json_object_get(op->request->args, "mapping")));
    json_array_foreach (json_object_get(op->request->args, "mapping"), i, mapping) {
        const char *source_type = json_string_member(mapping, "source_type");
        const char *snapshot_id = json_string_member(mapping, "snapshot_id");
        if (source_type && snapshot_id && strcmp(source_type, "snapshot") == 0)
            await_snapshot(op, snapshot_id, deadline_ms);
    }
}

static int thaw_after_freeze(struct instance_request *op, struct error *err)
{
    struct error failure = ERROR_INIT;
    int r = instance_request_begin(op, err);
    if (r < 0)
        return r;
    if (freezer_holds(op->agent->freezer, op->instance.uuid))
        await_snapshots(op);
    r = freezer_thaw(op->agent->freezer, op->instance.uuid, &failure);
    return r < 0 ? quiesce_failed(op, &failure, err) : 0;
}

void quiesce_thaw_serve(const struct instance_request *handed_over)
{
    struct instance_request op = *handed_over;
    struct error failure = ERROR_INIT;
    if (thaw_after_freeze(&op, &failure) < 0)
        report_failure(&op, &failure);
    else
        log_info("The guest is thawed");
    instance_request_end(&op);
}
