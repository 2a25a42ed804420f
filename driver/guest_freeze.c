/* See guest_freeze.h. */
#include "driver/guest_freeze.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <stddef.h>

#include "driver/libvirt_connection.h"

/* Errors after which nobody can be expected to answer a freeze; others come from the agent. */
static bool agent_is_absent(int code)
{
    return code == VIR_ERR_AGENT_UNRESPONSIVE || code == VIR_ERR_AGENT_UNSYNCED ||
           code == VIR_ERR_ARGUMENT_UNSUPPORTED || code == VIR_ERR_OPERATION_UNSUPPORTED ||
           code == VIR_ERR_OPERATION_INVALID || code == VIR_ERR_NO_DOMAIN ||
           code == VIR_ERR_CONFIG_UNSUPPORTED || code == VIR_ERR_NO_SUPPORT;
}

/* Nobody knows what the agent will have made of the freeze: only a thaw that succeeds ends that. */
static bool answer_was_lost(virDomainPtr domain)
{
    return virGetLastErrorCode() == VIR_ERR_AGENT_UNRESPONSIVE ||
           virConnectIsAlive(virDomainGetConnect(domain)) != 1;
}

int guest_freeze_limit_agent(struct guest_freeze *freeze, virDomainPtr domain, unsigned timeout_s,
                             struct error *err)
{
    int timeout = timeout_s < INT_MAX ? (int)timeout_s : INT_MAX;
    if (virDomainAgentSetResponseTimeout(domain, timeout, 0) < 0)
        return libvirt_error(err, "cannot limit the guest agent's time to answer");
    freeze->limited = true;
    return 0;
}

int guest_freeze_start(struct guest_freeze *freeze, virDomainPtr domain, unsigned timeout_s,
                       struct error *err)
{
    long long seconds = 0;
    unsigned nanoseconds = 0;
    int r = guest_freeze_limit_agent(freeze, domain, timeout_s, err);
    if (r < 0)
        return r;
    /* A question without effect first: a freeze that times out may be carried out later. The agent
     * of a guest that is already frozen refuses it. */
    bool answers = virDomainGetTime(domain, &seconds, &nanoseconds, 0) == 0;
    if (!answers && agent_is_absent(virGetLastErrorCode()))
        return libvirt_error(err, "the guest agent does not answer");
    freeze->thaw_needed = true;
    if (virDomainFSFreeze(domain, NULL, 0, 0) >= 0)
        return 0;
    r = libvirt_error(err, "cannot freeze the guest's filesystems");
    if (answer_was_lost(domain))
        return r;
    freeze->thaw_needed = false;
    if (answers)
        (void)virDomainFSThaw(domain, NULL, 0, 0); /* what was frozen before it failed */
    return r;
}

int guest_freeze_end(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    if (!freeze->thaw_needed)
        return 0;
    if (virDomainFSThaw(domain, NULL, 0, 0) < 0)
        return libvirt_error(err, "cannot thaw the guest's filesystems");
    freeze->thaw_needed = false;
    return 0;
}

int guest_freeze_release_agent(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    if (!freeze->limited)
        return 0;
    if (virDomainAgentSetResponseTimeout(domain, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0) < 0)
        return libvirt_error(err, "cannot give the guest agent its time to answer back");
    freeze->limited = false;
    return 0;
}
