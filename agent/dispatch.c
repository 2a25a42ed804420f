/* SPDX-License-Identifier: Apache-2.0 */
/* See dispatch.h. */
#include "agent/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/canceller.h"
#include "agent/instance.h"
#include "agent/instance_queue.h"
#include "agent/instance_request.h"
#include "agent/journal.h"
#include "agent/methods.h"
#include "agent/recover.h"
#include "agent/release.h"
#include "agent/workers.h"
#include "amqp/bus.h"
#include "common/failpoint.h"
#include "common/id.h"
#include "common/json.h"
#include "common/log.h"

/* NULL when it names none, as a malformed request of a volume's snapshot. */
static const char *instance_uuid(const struct rpc_request *request)
{
    const json_t *instance = json_object_get(request->args, "instance");
    return json_string_member(json_object_get(instance, "nova_object.data"), "uuid");
}

/* What nova-compute is asked to do meanwhile may make a snapshot futile. */
static void cancel_if_deleted(const struct agent *agent, const struct rpc_request *request)
{
    bool soft = strcmp(request->method, "soft_delete_instance") == 0;
    if (request->namespace || (!soft && strcmp(request->method, "terminate_instance") != 0))
        return;
    const char *uuid = instance_uuid(request);
    if (!id_is_uuid(uuid) || canceller_instance_deleted(agent->canceller, uuid, soft) == 0)
        return;
    log_set_context(request->context->request_id, uuid);
    log_info("the instance is being deleted: its snapshot is cancelled");
    log_set_context(NULL, NULL);
}

static void leave_to_compute(const struct rpc_request *request, const struct error *err)
{
    log_set_context(request->context->request_id, NULL);
    log_warning("%s is left to nova-compute: %s", request->method, err->message);
    log_set_context(NULL, NULL);
}

static enum rpc_verdict accept_request(void *arg, const struct rpc_request *request)
{
    struct agent *agent = arg;
    const struct method *method = methods_find(request);
    struct error err = ERROR_INIT;
    if (!method) {
        cancel_if_deleted(agent, request);
        log_debug("%s is put back: it is not the agent's to serve", request->method);
        return RPC_PUT_BACK;
    }
    if (methods_check(agent, method, request, &err) < 0) {
        leave_to_compute(request, &err);
        return RPC_PUT_BACK;
    }
    log_debug("%s of %s is accepted, version %s", request->method, request->context->request_id,
              request->version);
    atomic_fetch_add(&agent->taking, 1);
    return RPC_SERVE;
}

/* Before the ack: from then on only the journal knows of the request. */
static bool write_down(void *arg, const struct rpc_request *request, void **claim)
{
    const struct agent *agent = arg;
    const struct method *method = methods_find(request); /* accept_request() has found it */
    struct journal_record *record = NULL;
    struct error err = ERROR_INIT;
    if (method && method->recover && journal_begin(agent->journal, request, &record, &err) < 0) {
        log_warning("%s cannot be written down: %s", request->method, err.message);
        return false;
    }
    failpoint("request:written-down");
    *claim = record;
    return true;
}

struct task {
    void (*run)(const struct instance_request *handed_over);
    struct instance_request request; /* as it is handed over */
    bool is_acked;                   /* by now, and nobody has noted it */
};

/*
 * On disk, not only marked: nobody else waits for it here, and of a volume's request that lost the
 * mark with its host an agent would believe that somebody else has it. Of a snapshot's without the
 * mark the task state tells, which is right whoever has it; one with it must be ours, and is: the
 * broker has answered behind the ack.
 */
static void note_acked(const struct task *task)
{
    struct error err = ERROR_INIT;
    struct journal_record *record = task->request.record;
    if (task->is_acked && record && journal_note(record, "acked", json_true(), &err) < 0)
        log_warning("cannot write into the journal that %s was acked: %s",
                    task->request.request->method, err.message);
}

static void run_task(void *arg)
{
    struct task task = *(struct task *)arg;
    free(arg);
    note_acked(&task);
    if (task.is_acked)
        failpoint("request:acked");
    release_ask(task.request.agent->release);
    task.run(&task.request);
    instance_turn_free(task.request.turn);
}

/* Stands in line here: threads begin in any order. Of what names no instance nobody is in the way.
 */
static int queue_task(struct task *task, const struct method *method, struct error *err)
{
    struct instance_request *request = &task->request;
    const char *uuid = instance_uuid(request->request);
    if (method->jumps_the_queue || !uuid)
        return 0;
    return instance_queue_join(request->agent->instance_queue, uuid, &request->turn, err);
}

static int start_task(const struct task *task, const struct method *method, struct error *err)
{
    struct task *copy = malloc(sizeof(*copy));
    if (!copy)
        return error_nomem(err);
    *copy = *task;
    int r = queue_task(copy, method, err);
    if (r == 0)
        r = workers_start(task->request.agent->workers, run_task, copy, err);
    if (r < 0) {
        instance_turn_free(copy->request.turn);
        free(copy);
    }
    return r;
}

/* Takes what the task would have taken: the next start of the agent finds it in the journal. On the
 * bus thread, which does not wait for the disk: a host that fails now may lose the mark. */
static void drop_task(const struct task *task, const struct error *err)
{
    const struct instance_request *request = &task->request;
    log_set_context(request->request->context->request_id, NULL);
    log_error("%s is %s: %s", request->request->method,
              request->record ? "postponed to the next start of the agent" : "lost", err->message);
    log_set_context(NULL, NULL);
    if (task->is_acked && request->record)
        journal_mark(request->record, "acked", json_true());
    journal_leave(request->record);
    rpc_request_free(request->request);
}

static void start_serving(struct agent *agent, struct rpc_request *request,
                          struct journal_record *record, bool is_acked)
{
    struct error err = ERROR_INIT;
    const struct method *method = methods_find(request); /* accept_request() has found it */
    const struct task task = {
        .run = method ? method->serve : NULL,
        .request = {.agent = agent, .request = request, .record = record},
        .is_acked = is_acked,
    };
    if (start_task(&task, method, &err) < 0)
        drop_task(&task, &err);
}

static void serve_request(void *arg, struct rpc_request *request, void *claim)
{
    struct agent *agent = arg;
    log_debug("%s of %s is acked", request->method, request->context->request_id);
    start_serving(agent, request, claim, true);
    atomic_fetch_sub(&agent->taking, 1);
}

static void withdraw_request(void *arg, void *claim)
{
    struct agent *agent = arg;
    log_debug("an accepted request is withdrawn: it was not acked");
    atomic_fetch_sub(&agent->taking, 1);
    journal_end(claim);
}

static bool doubt_request(void *arg, struct rpc_request *request, void *claim)
{
    struct agent *agent = arg;
    const struct method *method = methods_find(request);
    if (!method || method->in_doubt == GIVE_UP) {
        log_warning("not serving %s: connection lost before the broker confirmed its ack",
                    request->method);
        return false;
    }
    log_warning("the connection was lost before the broker had confirmed the ack of %s",
                request->method);
    if (method->in_doubt == FIND_OUT)
        recovery_take(agent->recovery, agent, request, claim);
    else
        start_serving(agent, request, claim, false);
    atomic_fetch_sub(&agent->taking, 1);
    return true;
}

const struct rpc_server_ops dispatch_ops = {accept_request, write_down, serve_request,
                                            withdraw_request, doubt_request};

bool dispatch_recover(struct agent *agent, struct rpc_request *request,
                      struct journal_record *record)
{
    struct error err = ERROR_INIT;
    const struct method *method = methods_find(request);
    const struct task task = {
        .run = method ? method->recover : NULL,
        .request = {.agent = agent, .request = request, .record = record},
    };
    int r = task.run ? method->check(agent, request, &err)
                     : error_set(&err, EPROTONOSUPPORT, EXC_INTERNAL_ERROR,
                                 "this agent does not serve %s", request->method);
    if (r < 0) {
        journal_set_aside(record, &err);
        rpc_request_free(request);
        return false;
    }
    r = start_task(&task, method, &err);
    if (r < 0)
        drop_task(&task, &err);
    return r == 0;
}
