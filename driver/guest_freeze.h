/*
 * Freezing and thawing a guest's filesystems through its agent (virDomainFSFreeze), with a time
 * limit on every answer. One object per snapshot, not shared between threads.
 */
#pragma once

#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"

struct guest_freeze {
    bool limited;     /* the agent's time to answer was set: to be set back */
    bool thaw_needed; /* the guest is, or may yet become, frozen by us */
};

/* Bounds every answer of the agent from now on; part of guest_freeze_start(). */
int guest_freeze_limit_agent(struct guest_freeze *freeze, virDomainPtr domain, unsigned timeout_s,
                             struct error *err);

/*
 * Asks the agent whether it is there, then freezes. On failure the guest is as it was, or
 * thaw_needed says that the agent may still come to it. A guest that somebody else has frozen is
 * left alone: the agent refuses.
 */
int guest_freeze_start(struct guest_freeze *freeze, virDomainPtr domain, unsigned timeout_s,
                       struct error *err);

/* Thaws if need be. To be called again after a failure. */
int guest_freeze_end(struct guest_freeze *freeze, virDomainPtr domain, struct error *err);

/* Gives the agent its unlimited time to answer back, libvirt's default. */
int guest_freeze_release_agent(struct guest_freeze *freeze, virDomainPtr domain, struct error *err);
