/* See dispatch.h. Source of versions: nova.compute.manager:ComputeManager.target, _ComputeV5Proxy.
 */
#include "agent/dispatch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/assisted.h"
#include "agent/quiesce.h"
#include "agent/snapshot.h"
#include "common/cleanup.h"
#include "common/log.h"

struct method {
    const char *name;

    /* Says why the request cannot be served here. Runs before the ack, on the bus thread. */
    int (*check)(const struct agent *agent, const struct rpc_request *request, struct error *err);

    /* Serves it on a worker thread. Takes the request. */
    void (*run)(struct agent *agent, struct rpc_request *request);
};

/* Hypervisors and disks this agent knows nothing of. */
static int check_backend(const struct agent *agent, struct error *err)
{
    const struct conf *conf = agent->conf;
    if (strcmp(conf->libvirt.virt_type, "kvm") != 0 && strcmp(conf->libvirt.virt_type, "qemu") != 0)
        return error_set(err, ENOTSUP, EXC_INTERNAL_ERROR, "[libvirt]virt_type is %s",
                         conf->libvirt.virt_type);
    if (strcmp(conf->libvirt.images_type, "ploop") == 0)
        return error_set(err, ENOTSUP, EXC_INTERNAL_ERROR, "[libvirt]images_type is %s",
                         conf->libvirt.images_type);
    return 0;
}

static int check_snapshot(const struct agent *agent, const struct rpc_request *request,
                          struct error *err)
{
    struct snapshot_request arguments;
    int r = snapshot_request_parse(request, &arguments, err);
    if (r < 0)
        return r;
    snapshot_request_done(&arguments);
    return check_backend(agent, err);
}

static int check_instance(const struct agent *agent, const struct rpc_request *request,
                          struct error *err)
{
    struct instance instance;
    int r = instance_from_primitive(json_object_get(request->args, "instance"), &instance, err);
    if (r < 0)
        return r;
    instance_done(&instance);
    return check_backend(agent, err);
}

static int check_assisted(const struct agent *agent, const struct rpc_request *request,
                          struct error *err)
{
    int r = assisted_request_check(request, err);
    return r < 0 ? r : check_backend(agent, err);
}

static const struct method methods[] = {
    {"snapshot_instance", check_snapshot, snapshot_serve},
    {"backup_instance", check_snapshot, snapshot_serve},
    {"quiesce_instance", check_instance, quiesce_serve},
    {"unquiesce_instance", check_instance, unquiesce_serve},
    {"volume_snapshot_create", check_assisted, assisted_create_serve},
    {"volume_snapshot_delete", check_assisted, assisted_delete_serve},
};

static const struct method *find(const struct rpc_request *request)
{
    if (request->namespace)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
        if (strcmp(methods[i].name, request->method) == 0)
            return &methods[i];
    return NULL;
}

/* The server implements 5.13 and 6.5: same major, minor not above. */
static bool version_is_served(const char *version)
{
    unsigned major, minor;
    char rest;
    int n = version ? sscanf(version, "%3u.%3u%c", &major, &minor, &rest) : 0;
    return n == 2 && ((major == 5 && minor <= 13) || (major == 6 && minor <= 5));
}

static int check(const struct agent *agent, const struct method *method,
                 const struct rpc_request *request, struct error *err)
{
    if (!version_is_served(request->version))
        return error_set(err, EPROTONOSUPPORT, EXC_INTERNAL_ERROR, "RPC version %s is not served",
                         request->version ? request->version : "(none)");
    if (workers_full(agent->workers))
        return error_set(err, EAGAIN, EXC_INTERNAL_ERROR, "too many requests are waiting");
    return method->check(agent, request, err);
}

static enum rpc_verdict accept_request(void *arg, const struct rpc_request *request)
{
    const struct agent *agent = arg;
    const struct method *method = find(request);
    if (!method)
        return RPC_PUT_BACK;
    struct error err = ERROR_INIT;
    if (check(agent, method, request, &err) == 0)
        return RPC_SERVE;
    log_set_context(request->context->request_id, NULL);
    log_warning("%s is left to nova-compute: %s", method->name, err.message);
    log_set_context(NULL, NULL);
    return RPC_PUT_BACK;
}

struct task {
    struct agent *agent;
    const struct method *method;
    struct rpc_request *request;
};

static void run_task(void *arg)
{
    struct task task = *(struct task *)arg;
    free(arg);
    task.method->run(task.agent, task.request);
}

static void serve_request(void *arg, struct rpc_request *request)
{
    struct error err = ERROR_INIT;
    struct agent *agent = arg;
    struct task *task = malloc(sizeof(*task));
    int r = task ? 0 : error_nomem(&err);
    if (r == 0) {
        *task = (struct task){agent, find(request), request};
        r = workers_start(agent->workers, run_task, task, &err);
    }
    if (r == 0)
        return;
    log_set_context(request->context->request_id, NULL);
    log_error("%s is lost: %s", request->method, err.message);
    log_set_context(NULL, NULL);
    free(task);
    rpc_request_free(request);
}

const struct rpc_server_ops dispatch_ops = {accept_request, serve_request};
