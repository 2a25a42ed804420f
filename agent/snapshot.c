/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The story of a snapshot or backup. snapshot_serve() tells it, take_snapshot() is its way to an
 * active image, finish_operation() what happens then and otherwise; snapshot_recover() takes it up
 * where an agent that died has left it. Nova's own telling: nova.compute.manager:_snapshot_instance
 * and the decorators around it.
 */
#include "agent/snapshot.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/backup.h"
#include "agent/canceller.h"
#include "agent/disk_image.h"
#include "agent/finish.h"
#include "agent/freeze_ledger.h"
#include "agent/instance.h"
#include "agent/instance_queue.h"
#include "agent/journal.h"
#include "agent/owner.h"
#include "agent/preflight.h"
#include "agent/recover.h"
#include "agent/report.h"
#include "agent/resume.h"
#include "agent/shutdown.h"
#include "agent/slots.h"
#include "agent/task_states.h"
#include "agent/volume_backed.h"
#include "amqp/bus.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/json.h"
#include "common/log.h"
#include "common/trap.h"
#include "driver/driver.h"

/* A request that kills the agent may do so only so often. */
#define LIVES_MAX 3

static bool is_backup(const struct rpc_request *request)
{
    return strcmp(request->method, "backup_instance") == 0;
}

int snapshot_request_parse(const struct rpc_request *request,
                           struct snapshot_request *ret_arguments, struct error *err)
{
    struct snapshot_request arguments = {0};
    int r = json_need_string(request->args, "image_id", request->method, &arguments.image_id, err);
    if (r < 0)
        return r;
    if (!id_is_uuid(arguments.image_id))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "argument 'image_id' of %s is no UUID",
                         request->method);
    if (is_backup(request))
        r = backup_arguments_parse(request->args, &arguments, err);
    if (r == 0)
        r = instance_from_primitive(json_object_get(request->args, "instance"), &arguments.instance,
                                    err);
    if (r < 0)
        return r;
    *ret_arguments = arguments;
    return 0;
}

void snapshot_request_done(struct snapshot_request *arguments)
{
    instance_done(&arguments->instance);
}

static int note_entry(void *arg, const json_t *entry, struct error *err)
{
    struct operation *op = arg;
    return journal_note(op->record, "driver", json_deep_copy(entry), err);
}

static int note_frozen(void *arg, bool frozen, struct error *err)
{
    const struct operation *op = arg;
    return freeze_ledger_note(op->agent->freeze_ledger, op->arguments.instance.uuid, frozen, err);
}

static int begin(struct operation *op, struct error *err)
{
    int r = snapshot_request_parse(op->request, &op->arguments, err);
    if (r < 0)
        return r;
    r = request_context_elevated(op->request->context, &op->admin, err);
    if (r < 0) {
        snapshot_request_done(&op->arguments);
        return r;
    }
    log_set_context(op->request->context->request_id, op->arguments.instance.uuid);
    op->task_state = op->next_state =
        is_backup(op->request) ? IMAGE_BACKUP : IMAGE_SNAPSHOT_PENDING;
    op->driver_journal = (struct driver_journal){note_entry, note_frozen, op};
    op->driver_owner = (struct driver_owner){owner_has_instance, owner_wants_guest_to_run, op};
    op->report = (struct report){
        .agent = op->agent,
        .context = op->request->context,
        .admin = op->admin,
        .instance = &op->arguments.instance,
        .method = op->request->method,
        .args = op->request->args,
        .image_id = op->arguments.image_id,
    };
    return 0;
}

static void done(struct operation *op)
{
    log_set_context(NULL, NULL);
    snapshot_request_done(&op->arguments);
    request_context_free(op->admin);
    rpc_request_free(op->request);
}

static int save_power_state(struct operation *op, struct error *err)
{
    enum power_state power_state;
    struct driver *driver = op->agent->driver;
    int r = driver->ops->get_power_state(driver, op->arguments.instance.uuid, &power_state, err);
    if (r < 0)
        return r;
    if (power_state != POWER_STATE_RUNNING)
        log_warning("trying to snapshot a non-running instance: (state: %d expected: %d)",
                    (int)power_state, (int)POWER_STATE_RUNNING);
    return report_power_state(&op->report, power_state, err);
}

static int make_image(struct operation *op, struct error *err)
{
    return instance_is_volume_backed(&op->arguments.instance) ? volume_backed_image_make(op, err)
                                                              : disk_image_make(op, err);
}

static int start_event(struct operation *op, struct error *err)
{
    if (op->event_started)
        return 0;
    int r = report_event_start(&op->report, err);
    if (r < 0)
        return r;
    op->event_started = true;
    journal_mark(op->record, "event_started", json_true());
    trap("snapshot:event-started");
    return 0;
}

/* From here on tenants and operators see that it is served. */
static int take_snapshot(struct operation *op, struct error *err)
{
    int r = start_event(op, err);
    if (r == 0 && !is_backup(op->request))
        r = operation_move_to(op, IMAGE_SNAPSHOT, err);
    trap("snapshot:state-saved");
    if (r == 0)
        r = save_power_state(op, err);
    if (r == 0) {
        operation_notify_phase(op, "start");
        r = make_image(op, err);
    }
    return r == 0 ? operation_conclude(op, err) : r;
}

/* One that has waited in vain: as long as nobody can see anything of it, nova-compute may have it.
 */
static bool give_back(struct operation *op)
{
    if (op->event_started || instance_turn_follows_left(op->turn) ||
        !shutdown_hand_back(op->agent, op->request))
        return false;
    journal_end(op->record);
    return true;
}

/* An agent that ends begins nothing. */
static int await_slot(struct operation *op, struct error *err)
{
    if (shutdown_has_begun(op->agent->shutdown)) {
        shutdown_reason(err);
        return -ECANCELED;
    }
    int r = slots_acquire(op->agent->snapshot_slots, err);
    if (r == 0 && cancel_check(err) < 0) {
        slots_release(op->agent->snapshot_slots);
        return -ECANCELED;
    }
    return r;
}

/* A host that cannot take it now would only fail where nova-compute may not. */
static bool is_for_another(struct operation *op)
{
    struct error why = ERROR_INIT;
    return !op->event_started &&
           preflight_look(op->agent->preflight, op->request->context, &why) < 0 && give_back(op);
}

enum outcome { SERVED, WAITED_IN_VAIN, GIVEN_BACK };

/* With its turn. */
static enum outcome take_snapshot_in_slot(struct operation *op, struct error *err)
{
    canceller_set_phase(op->cancellable, CANCELLABLE_WAITS_FOR_SLOT);
    if (await_slot(op, err) < 0)
        return WAITED_IN_VAIN;
    canceller_set_phase(op->cancellable, CANCELLABLE_RUNS);
    bool given_back = is_for_another(op);
    if (!given_back)
        (void)take_snapshot(op, err);
    slots_release(op->agent->snapshot_slots);
    return given_back ? GIVEN_BACK : SERVED;
}

/*
 * Takes the snapshot when its turn comes, and brings it to its end. For one that is begun again as
 * well: what an earlier life has made is gone. One that waits for its turn takes no slot from the
 * snapshots of other instances.
 */
static void snapshot_take(struct operation *op)
{
    struct error failure = ERROR_INIT;
    operation_begin_cancellable(op);
    enum outcome outcome = SERVED;
    if (instance_turn_await(op->turn, NEVER_MS, &failure) == 0)
        outcome = take_snapshot_in_slot(op, &failure);
    operation_end_cancellable(op, &failure);
    bool ends = outcome == WAITED_IN_VAIN && shutdown_has_begun(op->agent->shutdown);
    if (outcome == GIVEN_BACK || (ends && give_back(op)))
        return;
    if (ends || op->is_interrupted)
        finish_interrupt(op);
    else
        finish_operation(op, &failure);
}

static void refuse(struct rpc_request *request, struct journal_record *record,
                   const struct error *err)
{
    log_error("%s: %s", request->method, err->message);
    journal_set_aside(record, err);
    rpc_request_free(request);
}

void snapshot_serve(struct agent *agent, struct rpc_request *request, struct journal_record *record,
                    struct instance_turn *turn)
{
    struct operation op = {.agent = agent, .request = request, .record = record, .turn = turn};
    struct error err = ERROR_INIT;
    if (begin(&op, &err) < 0) {
        refuse(request, record, &err);
        return;
    }
    snapshot_take(&op);
    done(&op);
}

/*
 * Nobody knows whether the broker has heard that the request was taken. If not, it gives it to
 * somebody who begins it, and the task state tells: that of a backup moves on a little later, when
 * its guest has been looked at. Fails when nobody answers.
 */
static int find_owner(struct operation *op, bool *ret_ours, struct error *err)
{
    const char *untouched = op->task_state;
    struct retry retry = finish_retry();
    struct error failure = ERROR_INIT;
    int r;
    *ret_ours = journal_last(op->record, "acked") != NULL;
    if (*ret_ours)
        return 0;
    instance_turn_pass(op->turn); /* whom it is given to may be this agent */
    recovery_await_redelivery(op->agent->recovery);
    while ((r = report_task_state(&op->report, untouched, &untouched, 1, &failure)) < 0 &&
           finish_is_temporary(&failure) && !shutdown_has_begun(op->agent->shutdown) &&
           retry_wait(&retry, 0))
        failure = (struct error)ERROR_INIT;
    *ret_ours = r == 0;
    if (r == 0 || !finish_is_temporary(&failure))
        return 0;
    *err = failure;
    return r;
}

/* Nothing but its event and its first task state can be seen of it. */
static bool has_hardly_begun(const struct operation *op)
{
    return !journal_last(op->record, "driver") && !journal_last(op->record, "volumes") &&
           !op->upload_started && !op->image_complete && !journal_last(op->record, "failure") &&
           operation_deaths(op) <= LIVES_MAX;
}

static void begin_again(struct operation *op)
{
    bool ours = false;
    struct error err = ERROR_INIT;
    recovery_guest_is_back(op->agent->recovery);
    if (find_owner(op, &ours, &err) < 0) {
        finish_postpone(op, &err);
    } else if (ours) {
        log_info("%s is begun again", op->request->method);
        instance_turn_join_again(op->turn);
        snapshot_take(op);
    } else {
        log_info("%s is left to whom the broker gives it", op->request->method);
        journal_end(op->record);
    }
}

void snapshot_recover(struct agent *agent, struct rpc_request *request,
                      struct journal_record *record, struct instance_turn *turn)
{
    struct operation op = {.agent = agent, .request = request, .record = record, .turn = turn};
    struct error err = ERROR_INIT;
    if (begin(&op, &err) < 0) {
        recovery_guest_is_back(agent->recovery);
        refuse(request, record, &err);
        return;
    }
    operation_restore(&op);
    journal_mark(record, "recovered", json_true());
    if (has_hardly_begun(&op))
        begin_again(&op);
    else if (!resume_operation(&op))
        snapshot_take(&op);
    done(&op);
}
