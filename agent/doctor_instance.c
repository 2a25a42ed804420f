/* SPDX-License-Identifier: Apache-2.0 */
/* See doctor_instance.h. The steps are those of disk_image.c, up to the point where it begins. */
#include "agent/doctor_instance.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/conductor.h"
#include "agent/doctor_method.h"
#include "agent/encryption.h"
#include "agent/instance.h"
#include "agent/live_options.h"
#include "agent/plan.h"
#include "common/findings.h"
#include "common/id.h"
#include "conf/conf.h"
#include "driver/driver.h"

struct look {
    const struct agent *agent;
    json_t *report;
    struct instance instance;
    struct guest_info info;
    struct plan_quiesce quiesce;
};

static void add_trouble(const struct look *look, const char *check, const struct error *trouble,
                        const char *remedy)
{
    findings_add(look->report, check, FINDINGS_FAIL, trouble->message, remedy);
}

static int find_uuid(struct look *look, const char *name, struct error *err)
{
    struct driver *driver = look->agent->driver;
    char uuid[DRIVER_UUID_MAX];
    if (id_is_uuid(name))
        (void)snprintf(uuid, sizeof(uuid), "%s", name);
    else if (driver->ops->find_guest(driver, name, uuid, err) < 0)
        return -err->errnum;
    (void)snprintf(look->instance.uuid, sizeof(look->instance.uuid), "%s", uuid);
    return 0;
}

/* False when there is none to look at. */
static bool look_at_guest(struct look *look, const char *name)
{
    static const char *const states[] = {
        [POWER_STATE_RUNNING] = "runs",        [POWER_STATE_PAUSED] = "is paused",
        [POWER_STATE_SHUTDOWN] = "is stopped", [POWER_STATE_CRASHED] = "has crashed",
        [POWER_STATE_SUSPENDED] = "sleeps",
    };
    struct driver *driver = look->agent->driver;
    struct error err = ERROR_INIT;
    enum power_state state = POWER_STATE_NOSTATE;
    char text[128];
    int r = find_uuid(look, name, &err);
    if (r == 0)
        r = driver->ops->get_power_state(driver, look->instance.uuid, &state, &err);
    if (r == 0 && state == POWER_STATE_NOSTATE)
        r = error_set(&err, ENOENT, EXC_INSTANCE_NOT_FOUND,
                      "libvirt knows no domain of instance %s", name);
    if (r < 0) {
        add_trouble(look, "guest", &err, "virsh list --all: is it on this host?");
        return false;
    }
    (void)snprintf(text, sizeof(text), "%s %s", look->instance.uuid, states[state]);
    findings_add(look->report, "guest", FINDINGS_OK, text, NULL);
    return true;
}

static int ask_nova(struct look *look, struct instance_states *ret_states, struct error *err)
{
    static const char *const attributes[] = {"system_metadata", "flavor", NULL};
    struct request_context *context = NULL;
    struct bus *bus = look->agent->bus;
    int r = request_context_new_admin(&context, err);
    if (r == 0)
        r = conductor_instance_states(bus, context, look->instance.uuid, ret_states, err);
    if (r == 0)
        r = conductor_instance_load(bus, context, &look->instance, attributes, err);
    request_context_free(context);
    return r;
}

static void tell_states(const struct look *look, const struct instance_states *states)
{
    char text[512];
    bool is_here = strcmp(states->host, look->agent->conf->DEFAULT.host) == 0;
    bool is_busy = states->task_state[0] != '\0';
    (void)snprintf(text, sizeof(text), "%s on host %s, %s%s", states->vm_state,
                   states->host[0] != '\0' ? states->host : "(none)",
                   is_busy ? "task state " : "no task is under way", states->task_state);
    findings_add(look->report, "Nova", is_here && !is_busy ? FINDINGS_OK : FINDINGS_WARN, text,
                 is_here ? "wait until its task has ended" : "ask the agent of that host");
}

/* What Nova knows of it; false when it knows no such instance. */
static bool look_at_nova(struct look *look)
{
    struct instance_states states = {.host = ""};
    struct error err = ERROR_INIT;
    int r = ask_nova(look, &states, &err);
    if (r == 0) {
        tell_states(look, &states);
    } else if (error_is(&err, EXC_INSTANCE_NOT_FOUND)) {
        add_trouble(look, "Nova", &err, "a domain that is none of Nova's is never snapshotted");
        return false;
    } else {
        (void)error_prepend(&err,
                            "what it knows of the instance is not known, nor whether it is to "
                            "be frozen");
        findings_add(look->report, "Nova", FINDINGS_WARN, err.message,
                     "nova-snapshot doctor says what is wrong with RabbitMQ or nova-compute");
    }
    return true;
}

/* False when the snapshot is none of ours. */
static bool look_at_encryption(const struct look *look)
{
    struct error err = ERROR_INIT;
    if (encryption_check(look->agent->conf, &look->instance, &err) == 0)
        return true;
    findings_add(look->report, "encryption", FINDINGS_WARN, err.message,
                 "nova-compute takes its snapshots, the agent leaves them to it");
    (void)json_object_set_new(look->report, "method", json_string("nova-compute"));
    return false;
}

static bool look_at_disk(struct look *look)
{
    struct driver *driver = look->agent->driver;
    const struct guest_id guest = {.uuid = look->instance.uuid,
                                   .root_device_name =
                                       instance_string(&look->instance, "root_device_name")};
    struct error err = ERROR_INIT;
    char text[ERROR_MESSAGE_MAX];
    if (driver->ops->inspect(driver, &guest, &look->info, &err) < 0) {
        add_trouble(look, "root disk", &err,
                    "virsh dumpxml and qemu-img info -U --backing-chain show the disk; a snapshot "
                    "fails as this does");
        return false;
    }
    const struct guest_info *info = &look->info;
    (void)snprintf(text, sizeof(text), "%s: %.400s (%s), %" PRIu64 " MiB%s%.400s%s%s%s",
                   info->disk_target, info->disk_path, info->disk_format,
                   info->virtual_size_bytes >> 20, info->backing_path[0] ? ", on " : "",
                   info->backing_path, info->backing_path[0] ? " (" : "", info->backing_format,
                   info->backing_path[0] ? ")" : "");
    findings_add(look->report, "root disk", FINDINGS_OK, text, NULL);
    return true;
}

/* How it is with the agent of a guest that is to be frozen. */
static void look_at_agent(const struct look *look)
{
    static const char remedy[] =
        "start qemu-guest-agent in the guest, or its snapshots are as after "
        "a power failure";
    struct driver *driver = look->agent->driver;
    enum guest_agent agent = GUEST_AGENT_NO_CHANNEL;
    struct error err = ERROR_INIT;
    enum findings_status bad = look->quiesce.required ? FINDINGS_FAIL : FINDINGS_WARN;
    if (driver->ops->guest_agent(driver, look->instance.uuid, &agent, &err) < 0)
        findings_add(look->report, "freeze", bad, err.message, remedy);
    else if (agent == GUEST_AGENT_CONNECTED)
        findings_add(look->report, "freeze", FINDINGS_OK,
                     "for the instant of the snapshot: the guest's agent is connected", NULL);
    else
        findings_add(look->report, "freeze", bad,
                     agent == GUEST_AGENT_AWAY ? "the guest's agent is not connected"
                                               : "the domain has no channel for the guest's agent",
                     remedy);
}

static void look_at_freeze(const struct look *look)
{
    char text[ERROR_MESSAGE_MAX + 32];
    (void)snprintf(text, sizeof(text), "it is not frozen: %s", look->quiesce.reason);
    if (look->quiesce.wanted)
        look_at_agent(look);
    else
        findings_add(look->report, "freeze", FINDINGS_OK, text, NULL);
}

static void look_at_methods(struct look *look)
{
    const struct agent *agent = look->agent;
    const struct plan_input input = {.conf = agent->conf,
                                     .wanted = live_options_get(agent->live_options).wanted_method,
                                     .instance = &look->instance,
                                     .info = &look->info};
    struct snapshot_plan plan;
    struct error err = ERROR_INIT;
    const char *reason = NULL;
    if (plan_snapshot(&input, &plan, &look->quiesce, &reason, &err) < 0) {
        add_trouble(look, "freeze", &err, "the image property os_require_quiesce asks for it");
        return;
    }
    doctor_method_look(agent, &input, &plan, look->report);
    look_at_freeze(look);
}

static void look_at_volumes(struct look *look)
{
    struct error err = ERROR_INIT;
    findings_add(look->report, "method", FINDINGS_OK,
                 "it is booted from a volume: Cinder snapshots its volumes", NULL);
    (void)json_object_set_new(look->report, "method", json_string("volumes"));
    if (plan_quiesce(look->agent->conf, &look->instance, &look->quiesce, &err) < 0)
        add_trouble(look, "freeze", &err, "the image property os_require_quiesce asks for it");
    else
        look_at_freeze(look);
}

/* Without Nova's word it is taken for one whose disk is here. */
static bool is_volume_backed(const struct look *look)
{
    return json_object_get(look->instance.data, "image_ref") &&
           instance_is_volume_backed(&look->instance);
}

void doctor_instance_look(const struct agent *agent, const char *name, json_t *report)
{
    struct look look = {.agent = agent, .report = report, .instance = {.data = json_object()}};
    if (look_at_guest(&look, name) && look_at_nova(&look) && look_at_encryption(&look)) {
        if (is_volume_backed(&look))
            look_at_volumes(&look);
        else if (look_at_disk(&look))
            look_at_methods(&look);
    }
    instance_done(&look.instance);
}
