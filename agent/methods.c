/* SPDX-License-Identifier: Apache-2.0 */
/* See methods.h. Source of versions: nova.compute.manager:ComputeManager.target, _ComputeV5Proxy.
 */
#include "agent/methods.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/assisted_snapshot.h"
#include "agent/encryption.h"
#include "agent/instance.h"
#include "agent/preflight.h"
#include "agent/quiesce.h"
#include "agent/snapshot.h"
#include "agent/workers.h"
#include "amqp/bus.h"
#include "amqp/rpc_version.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "conf/conf.h"

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
    int r = snapshot_check(request, err);
    return r < 0 ? r : check_backend(agent, err);
}

/*
 * Its image would hold in the clear what is encrypted on the host. Where there is no nova-compute
 * the request is served, to its failure: nobody else would tell Nova.
 */
static int decline_encrypted(const struct agent *agent, const struct rpc_request *request,
                             struct error *err)
{
    struct instance instance;
    if (strcmp(agent->conf->snapshot_agent.attach, "exclusive") == 0)
        return 0;
    int r = instance_from_primitive(json_object_get(request->args, "instance"), &instance, err);
    if (r < 0)
        return r;
    if (!instance_is_volume_backed(&instance))
        r = encryption_check(agent->conf, &instance, err);
    instance_done(&instance);
    return r;
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
    int r = assisted_snapshot_check(request, err);
    return r < 0 ? r : check_backend(agent, err);
}

/*
 * In doubt the task state tells who has a snapshot. To thaw twice does no harm, a guest that stays
 * frozen does. Of the others whoever asked hears nothing, and asks again or gives up; two that do
 * the same to a guest get in each other's way.
 */
static const struct method methods[] = {
    {"snapshot_instance", check_snapshot, decline_encrypted, snapshot_serve, snapshot_recover,
     false, FIND_OUT},
    {"backup_instance", check_snapshot, decline_encrypted, snapshot_serve, snapshot_recover, false,
     FIND_OUT},
    {"quiesce_instance", check_instance, NULL, quiesce_freeze_serve, NULL, false, GIVE_UP},
    {"unquiesce_instance", check_instance, NULL, quiesce_thaw_serve, NULL, true,
     SERVE_ALL_THE_SAME},
    {"volume_snapshot_create", check_assisted, NULL, assisted_snapshot_create_serve,
     assisted_snapshot_create_recover, false, GIVE_UP},
    {"volume_snapshot_delete", check_assisted, NULL, assisted_snapshot_delete_serve,
     assisted_snapshot_delete_recover, false, GIVE_UP},
};

const struct method *methods_find(const struct rpc_request *request)
{
    if (request->namespace)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
        if (strcmp(methods[i].name, request->method) == 0)
            return &methods[i];
    return NULL;
}

const char *const methods_rpc_versions[] = {"6.5", "5.13", NULL};

/* Nova's have two parts. */
static bool version_is_served(const char *version)
{
    const char *minor = version ? strchr(version, '.') : NULL;
    return minor && !strchr(minor + 1, '.') && rpc_version_is_served(methods_rpc_versions, version);
}

int methods_check(const struct agent *agent, const struct method *method,
                  const struct rpc_request *request, struct error *err)
{
    if (!version_is_served(request->version))
        return error_set(err, EPROTONOSUPPORT, EXC_INTERNAL_ERROR, "RPC version %s is not served",
                         request->version ? request->version : "(none)");
    if (workers_full(agent->workers, atomic_load(&agent->taking)))
        return error_set(err, EAGAIN, EXC_INTERNAL_ERROR, "too many requests are waiting");
    int r = preflight_check(agent->preflight, err); /* may have come before the agent stood aside */
    if (r == 0)
        r = method->check(agent, request, err);
    return r == 0 && method->decline ? method->decline(agent, request, err) : r;
}
