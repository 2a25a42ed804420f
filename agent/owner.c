/* SPDX-License-Identifier: Apache-2.0 */
/* See owner.h. */
#include "agent/owner.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/conductor.h"
#include "agent/operation.h"
#include "agent/recover.h"
#include "agent/report.h"
#include "amqp/bus.h"
#include "common/json.h"
#include "common/log.h"
#include "conf/conf.h"

static bool is_here(const struct instance_states *states, const char *host)
{
    return strcmp(states->task_state, "deleting") != 0 && strcmp(states->host, host) == 0;
}

int owner_has_instance(void *operation, bool *ret_has, struct error *err)
{
    const struct operation *op = operation;
    const struct agent *agent = op->base.agent;
    struct instance_states states;
    struct error failure = ERROR_INIT;
    if (!recovery_bus_has_started(agent->recovery))
        return error_set(err, EAGAIN, EXC_INTERNAL_ERROR,
                         "whether nova still has the instance cannot be asked yet");
    int r = conductor_instance_states(agent->bus, op->base.admin, op->base.instance.uuid, &states,
                                      &failure);
    if (r == 0)
        *ret_has = is_here(&states, agent->conf->DEFAULT.host);
    else
        *ret_has = !error_is(&failure, EXC_INSTANCE_NOT_FOUND);
    if (r < 0 && *ret_has)
        log_warning("cannot ask nova whether the instance is on this host, assuming it is: %s: %s",
                    failure.exc, failure.message);
    return 0;
}

static bool is_one_of(const char *text, const char *const *list)
{
    while (*list && strcmp(*list, text) != 0)
        list++;
    return *list;
}

bool owner_wants_guest_to_run(void *operation)
{
    static const char *const off[] = {"stopped", "suspended", "soft-delete", "shelved", NULL};
    static const char *const goes_off[] = {"powering-off", "suspending", "soft-deleting",
                                           "shelving", NULL};
    const struct operation *op = operation;
    struct instance_states states;
    struct error ignored = ERROR_INIT;
    if (!recovery_bus_has_started(op->base.agent->recovery) ||
        report_read_states(&op->base, &states, &ignored) < 0)
        return true;
    const json_t *asked =
        json_object_get(json_object_get(op->base.request->args, "instance"), "nova_object.data");
    const char *vm_state = json_string_member(asked, "vm_state");
    bool stopped =
        is_one_of(states.vm_state, off) && !(vm_state && strcmp(vm_state, states.vm_state) == 0);
    if (!stopped && !is_one_of(states.task_state, goes_off))
        return true;
    log_warning("the guest is not started: the server was stopped meanwhile");
    return false;
}
