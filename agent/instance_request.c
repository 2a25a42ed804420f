/* SPDX-License-Identifier: Apache-2.0 */
/* See instance_request.h. */
#include "agent/instance_request.h"

#include "agent/agent.h"
#include "agent/conductor.h"
#include "amqp/bus.h"
#include "common/log.h"

int instance_request_begin(struct instance_request *op, struct error *err)
{
    const struct rpc_request *request = op->request;
    log_set_context(request->context->request_id, NULL);
    int r = instance_from_primitive(json_object_get(request->args, "instance"), &op->instance, err);
    if (r < 0)
        return r;
    log_set_context(request->context->request_id, op->instance.uuid);
    op->job.method = request->method;
    op->job.request_id = request->context->request_id;
    op->job.instance_uuid = op->instance.uuid;
    jobs_add(op->agent->jobs, &op->job);
    log_debug("%s begins", request->method);
    return request_context_elevated(request->context, &op->admin, err);
}

int instance_request_load_properties(struct instance_request *op, struct error *err)
{
    static const char *const attributes[] = {"system_metadata", NULL};
    return conductor_instance_load(op->agent->bus, op->admin, &op->instance, attributes, 0, err);
}

void instance_request_end(struct instance_request *op)
{
    jobs_remove(&op->job);
    log_debug("%s has ended", op->request->method);
    log_set_context(NULL, NULL);
    instance_done(&op->instance);
    request_context_free(op->admin);
    rpc_request_free(op->request);
}
