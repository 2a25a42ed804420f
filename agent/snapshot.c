/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The story of a snapshot or backup, in its order: the request is understood, waits for its turn
 * and for a slot, is taken to an active image, and finished. snapshot_recover.c takes it up where
 * an agent that died has left it. Nova's own telling: nova.compute.manager:_snapshot_instance and
 * the decorators around it.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/backup.h"
#include "agent/canceller.h"
#include "agent/disk_image.h"
#include "agent/finish.h"
#include "agent/freeze_ledger.h"
#include "agent/instance.h"
#include "agent/instance_queue.h"
#include "agent/journal.h"
#include "agent/operation_state.h"
#include "agent/owner.h"
#include "agent/preflight.h"
#include "agent/report.h"
#include "agent/shutdown.h"
#include "agent/slots.h"
#include "agent/snapshot_int.h"
#include "agent/task_states.h"
#include "agent/volume_backed.h"
#include "amqp/bus.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/id.h"
#include "common/json.h"
#include "common/log.h"
#include "driver/driver.h"

/* What is asked for. */

static bool is_backup(const struct rpc_request *request)
{
    return strcmp(request->method, "backup_instance") == 0;
}

static int parse_arguments(const struct rpc_request *request,
                           struct snapshot_arguments *ret_arguments, struct error *err)
{
    struct snapshot_arguments arguments = {0};
    int r = json_need_string(request->args, "image_id", request->method, &arguments.image_id, err);
    if (r < 0)
        return r;
    if (!id_is_uuid(arguments.image_id))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "argument 'image_id' of %s is no UUID",
                         request->method);
    if (is_backup(request))
        r = backup_arguments_parse(request->args, &arguments, err);
    if (r < 0)
        return r;
    *ret_arguments = arguments;
    return 0;
}

int snapshot_check(const struct rpc_request *request, struct error *err)
{
    struct snapshot_arguments arguments;
    struct instance instance;
    int r = parse_arguments(request, &arguments, err);
    if (r < 0)
        return r;
    r = instance_from_primitive(json_object_get(request->args, "instance"), &instance, err);
    if (r < 0)
        return r;
    instance_done(&instance);
    return 0;
}

static int journal_driver_entry(void *arg, const json_t *entry, struct error *err)
{
    struct operation *op = arg;
    return journal_note(op->base.record, "driver", json_deep_copy(entry), err);
}

static int journal_driver_freeze(void *arg, bool frozen, struct error *err)
{
    const struct operation *op = arg;
    return freeze_ledger_note(op->base.agent->freeze_ledger, op->base.instance.uuid, frozen, err);
}

static void observe_instant(void *arg)
{
    struct operation *op = arg;
    struct tm utc;
    time_t now = time(NULL);
    if (gmtime_r(&now, &utc))
        (void)strftime(op->instant, sizeof(op->instant), "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static void observe_copy(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    jobs_set_progress(&((struct operation *)arg)->base.job, done_bytes, total_bytes);
}

/* Who stood before it in the line may have shown its own when this request was read. */
static void take_progress_before(struct operation *op)
{
    const json_t *noted = journal_last(op->base.record, "progress");
    int read = noted ? (int)json_integer_value(noted) : op->base.instance.progress;
    op->base.instance.progress = instance_turn_progress_before(op->base.turn, read);
    if (op->base.instance.progress != read)
        journal_mark(op->base.record, "progress", json_integer(op->base.instance.progress));
}

static uint64_t answer_copy_rate(void *arg, uint64_t usual)
{
    return jobs_ask_disk_limit(&((struct operation *)arg)->base.job, usual);
}

int snapshot_begin(struct operation *op, struct error *err)
{
    int r = parse_arguments(op->base.request, &op->arguments, err);
    if (r < 0)
        return r;
    op->base.job.image_id = op->arguments.image_id;
    r = instance_request_begin(&op->base, err);
    if (r < 0)
        return r;
    log_set_image(op->arguments.image_id);
    take_progress_before(op);
    op->task_state = op->next_state =
        is_backup(op->base.request) ? IMAGE_BACKUP : IMAGE_SNAPSHOT_PENDING;
    op->driver_journal = (struct driver_journal){journal_driver_entry, journal_driver_freeze, op};
    op->observer = (struct driver_observer){.instant = observe_instant,
                                            .copied = observe_copy,
                                            .copy_rate = answer_copy_rate,
                                            .arg = op};
    op->base.restores_progress = op->base.agent->conf->snapshot_agent.report_progress;
    op->driver_owner = (struct driver_owner){owner_has_instance, owner_wants_guest_to_run, op};
    return 0;
}

void snapshot_refuse(struct operation *op, const struct error *err)
{
    log_error("%s is refused, its arguments cannot be understood: %s", op->base.request->method,
              err->message);
    journal_set_aside(op->base.record, err);
    op->base.record = NULL;
}

/* It waits: for its turn, for a slot, for a host that can take it. */

/* As long as nobody can see anything of it, nova-compute may have it. */
static bool give_back(struct operation *op)
{
    if (op->event_started || instance_turn_follows_left(op->base.turn) ||
        !shutdown_hand_back(op->base.agent, op->base.request))
        return false;
    journal_end(op->base.record);
    op->base.record = NULL;
    return true;
}

/* A host that cannot take it now would only fail where nova-compute may not. */
static bool is_for_another(struct operation *op)
{
    struct error why = ERROR_INIT;
    return !op->event_started &&
           preflight_look(op->base.agent->preflight, op->base.request->context, &why) < 0 &&
           give_back(op);
}

/* An agent that ends begins nothing. */
static int await_slot(struct operation *op, struct error *err)
{
    operation_enter(op, SUMMARY_SLOT);
    canceller_set_phase(op->cancellable, CANCELLABLE_WAITS_FOR_SLOT);
    if (shutdown_has_begun(op->base.agent->shutdown)) {
        shutdown_reason(err);
        return -ECANCELED;
    }
    int r = slots_acquire(op->base.agent->snapshot_slots, err);
    if (r < 0)
        return r;
    if (cancel_check(err) < 0) {
        slots_release(op->base.agent->snapshot_slots);
        return -ECANCELED;
    }
    canceller_set_phase(op->cancellable, CANCELLABLE_RUNS);
    operation_enter(op, SUMMARY_PREPARE);
    return 0;
}

/* It is taken: from here on tenants and operators see that it is served. */

static int start_event(struct operation *op, struct error *err)
{
    if (op->event_started)
        return 0;
    int r = report_event_start(&op->base, err);
    if (r < 0)
        return r;
    log_debug("the action event has started");
    op->event_started = true;
    journal_mark(op->base.record, "event_started", json_true());
    failpoint("snapshot:event-started");
    return 0;
}

static int save_first_state(struct operation *op, struct error *err)
{
    int r = is_backup(op->base.request) ? 0 : operation_state_move_to(op, IMAGE_SNAPSHOT, err);
    failpoint("snapshot:state-saved");
    return r;
}

static int save_power_state(struct operation *op, struct error *err)
{
    enum power_state power_state;
    struct driver *driver = op->base.agent->driver;
    int r = driver->ops->get_power_state(driver, op->base.instance.uuid, &power_state, err);
    if (r < 0)
        return r;
    if (power_state != POWER_STATE_RUNNING)
        log_warning("trying to snapshot a non-running instance: (state: %d expected: %d)",
                    (int)power_state, (int)POWER_STATE_RUNNING);
    log_debug("the guest's power state is %d", (int)power_state);
    return report_power_state(&op->base, power_state, err);
}

static int make_image(struct operation *op, struct error *err)
{
    return instance_is_volume_backed(&op->base.instance) ? volume_backed_image_make(op, err)
                                                         : disk_image_make(op, err);
}

static int take_snapshot(struct operation *op, struct error *err)
{
    int r = start_event(op, err);
    if (r == 0)
        r = save_first_state(op, err);
    if (r == 0)
        r = save_power_state(op, err);
    if (r < 0)
        return r;
    operation_notify_phase(op, "start");
    r = make_image(op, err);
    return r < 0 ? r : operation_state_conclude(op, err);
}

/* The whole of it. */

enum outcome { SERVED, WAITED_IN_VAIN, GIVEN_BACK };

/* One that waits for its turn takes no slot from the snapshots of other instances. */
static enum outcome wait_and_take(struct operation *op, struct error *err)
{
    operation_enter(op, SUMMARY_TURN);
    if (instance_turn_await(op->base.turn, NEVER_MS, err) < 0)
        return SERVED;
    if (await_slot(op, err) < 0)
        return WAITED_IN_VAIN;
    bool given_back = is_for_another(op);
    if (!given_back)
        (void)take_snapshot(op, err);
    slots_release(op->base.agent->snapshot_slots);
    return given_back ? GIVEN_BACK : SERVED;
}

void snapshot_take(struct operation *op)
{
    struct error failure = ERROR_INIT;
    operation_begin_cancellable(op);
    enum outcome outcome = wait_and_take(op, &failure);
    operation_end_cancellable(op, &failure);
    bool ends = outcome == WAITED_IN_VAIN && shutdown_has_begun(op->base.agent->shutdown);
    if (outcome == GIVEN_BACK || (ends && give_back(op)))
        return;
    if (ends || op->is_interrupted)
        finish_interrupt(op);
    else
        finish_operation(op, &failure);
}

void snapshot_serve(const struct instance_request *handed_over)
{
    struct operation op = {.base = *handed_over};
    struct error err = ERROR_INIT;
    if (snapshot_begin(&op, &err) < 0)
        snapshot_refuse(&op, &err);
    else
        snapshot_take(&op);
    instance_request_end(&op.base);
}
