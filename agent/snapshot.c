/*
 * The story of a snapshot or backup. snapshot_serve() tells it, take_snapshot() is its way to an
 * active image, give_up() what happens otherwise. Nova's own telling:
 * nova.compute.manager:_snapshot_instance and the decorators around it.
 */
#include "agent/snapshot.h"

#include <errno.h>
#include <string.h>

#include "agent/backup.h"
#include "agent/disk_image.h"
#include "agent/operation.h"
#include "agent/volume_backed.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"

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

static void end(struct operation *op)
{
    log_set_context(NULL, NULL);
    snapshot_request_done(&op->arguments);
    request_context_free(op->admin);
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

/* nova.compute.utils:is_volume_backed_instance, as far as nova-api lets one come here. */
static bool is_volume_backed(const struct instance *instance)
{
    const char *image_ref = instance_string(instance, "image_ref");
    return !image_ref || image_ref[0] == '\0';
}

static int make_image(struct operation *op, struct error *err)
{
    return is_volume_backed(&op->arguments.instance) ? volume_backed_image_make(op, err)
                                                     : disk_image_make(op, err);
}

/* A step the snapshot does not depend on failed: say so and go on. */
static void note(int r, const char *step, const struct error *err)
{
    if (r < 0)
        log_warning("%s failed: %s: %s", step, err->exc, err->message);
}

static void notify_phase(struct operation *op, const char *phase)
{
    struct error err = ERROR_INIT;
    note(report_phase(&op->report, phase, &err), "the snapshot notification", &err);
}

static int make_image_in_slot(struct operation *op, struct error *err)
{
    slots_acquire(op->agent->snapshot_slots);
    int r = save_power_state(op, err);
    if (r == 0) {
        notify_phase(op, "start");
        r = make_image(op, err);
    }
    slots_release(op->agent->snapshot_slots);
    return r;
}

static int take_snapshot(struct operation *op, struct error *err)
{
    int r = report_event_start(&op->report, err);
    if (r < 0)
        return r;
    op->event_started = true;
    if (!is_backup(op->request))
        r = operation_move_to(op, IMAGE_SNAPSHOT, err);
    if (r == 0)
        r = make_image_in_slot(op, err);
    if (r == 0)
        r = operation_move_to(op, NULL, err);
    if (r == 0)
        notify_phase(op, "end");
    return r;
}

/* Data that is not ours: the request had been served before, by nova-compute or by an earlier
 * agent. */
static bool image_is_anothers(struct operation *op)
{
    struct error err = ERROR_INIT;
    struct glance_image image = {0};
    if (op->upload_started || glance_image_get(op->agent->glance, op->request->context,
                                               op->arguments.image_id, &image, &err) < 0)
        return false;
    bool anothers = strcmp(image.status, "queued") != 0;
    if (anothers)
        log_warning("the image is left alone: it is %s, and not by us", image.status);
    glance_image_done(&image);
    return anothers;
}

static void delete_image(struct operation *op)
{
    struct error err = ERROR_INIT;
    if (op->image_complete || image_is_anothers(op))
        return;
    int r =
        glance_image_delete(op->agent->glance, op->request->context, op->arguments.image_id, &err);
    if (r < 0 && !error_is(&err, EXC_IMAGE_NOT_FOUND))
        note(r, "deleting the image", &err);
}

/*
 * Clears the task state if it is still ours. False when the instance is being deleted or gone;
 * somebody else's state is left alone.
 */
static bool revert_task_state(struct operation *op)
{
    struct error err = ERROR_INIT;
    const char *ours[] = {op->task_state, op->next_state};
    int r = report_task_state(&op->report, NULL, ours, ARRAY_SIZE(ours), &err);
    if (r == 0)
        return true;
    note(r, "clearing the task state", &err);
    return !error_is(&err, EXC_UNEXPECTED_DELETING) && !error_is(&err, EXC_INSTANCE_NOT_FOUND);
}

static void finish_event(struct operation *op, const struct error *failure)
{
    struct error err = ERROR_INIT;
    if (op->event_started)
        note(report_event_finish(&op->report, failure, &err), "finishing the action event", &err);
}

static void record_fault(struct operation *op, const struct error *failure)
{
    struct error err = ERROR_INIT;
    note(report_fault(&op->report, failure, &err), "recording the fault", &err);
}

static void notify_failure(struct operation *op, const struct error *failure)
{
    struct error err = ERROR_INIT;
    note(report_exception(&op->report, failure, &err), "the exception notification", &err);
}

/* False when there is no instance left to report about. */
static bool give_instance_back(struct operation *op, const struct error *failure)
{
    if (error_is(failure, EXC_UNEXPECTED_DELETING))
        return false;
    if (error_is(failure, EXC_UNEXPECTED_TASK_STATE)) /* reset by somebody, as reverts_task_state */
        return true;
    return revert_task_state(op);
}

static void report_failure(struct operation *op, const struct error *failure)
{
    log_error("%s failed: %s: %s", op->request->method, failure->exc, failure->message);
    record_fault(op, failure);
    finish_event(op, failure);
    notify_failure(op, failure);
}

static void give_up(struct operation *op, const struct error *failure)
{
    delete_image(op);
    if (!give_instance_back(op, failure)) {
        log_info("Instance disappeared during snapshot: %s", failure->message);
        finish_event(op, NULL);
    } else if (error_is(failure, EXC_IMAGE_NOT_FOUND)) {
        log_warning("Image not found during snapshot: %s", failure->message);
        finish_event(op, NULL);
    } else {
        report_failure(op, failure);
    }
}

/*
 * The image is there: whatever failed afterwards does not make the snapshot fail. That older
 * backups could not be rotated out is told all the same.
 */
static void finish(struct operation *op, int r, const struct error *failure)
{
    struct error rotation = ERROR_INIT;
    if (r < 0) {
        log_warning("the image is complete, but then: %s: %s", failure->exc, failure->message);
        (void)give_instance_back(op, failure);
    }
    log_info("Snapshot image %s is active", op->arguments.image_id);
    if (is_backup(op->request) && backup_rotate(op, &rotation) < 0)
        report_failure(op, &rotation);
    else
        finish_event(op, NULL);
}

void snapshot_serve(struct agent *agent, struct rpc_request *request)
{
    struct operation op = {.agent = agent, .request = request};
    struct error err = ERROR_INIT;
    int r = begin(&op, &err);
    if (r < 0) {
        log_error("%s: %s", request->method, err.message);
        rpc_request_free(request);
        return;
    }
    r = take_snapshot(&op, &err);
    if (op.image_complete)
        finish(&op, r, &err);
    else
        give_up(&op, &err);
    end(&op);
    rpc_request_free(request);
}
