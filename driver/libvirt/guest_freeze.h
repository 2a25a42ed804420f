/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freezing and thawing a guest's filesystems through its agent (virDomainFSFreeze), with a time
 * limit on every answer. What the agent says of a freeze or thaw is checked against how it then
 * behaves, where it can be told. One object per snapshot, not shared between threads.
 */
#pragma once

#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"
#include "driver/driver.h"
#include "driver/libvirt/connection.h"

struct guest_freeze {
    struct libvirt_connection *connection; /* borrowed: of the domain */
    const struct driver_journal *journal;  /* borrowed: told before a freeze and after the thaw */
    unsigned timeout_s;                    /* for every answer of the agent */
    bool limited;                          /* the agent's time to answer was set: to be set back */
    bool thaw_needed;                      /* the guest is, or may yet become, frozen by us */
    bool told;                             /* the journal has been told of a freeze */
    bool answers;                          /* it has told its time, before the freeze */
    bool unresponsive;                     /* the last failure was VIR_ERR_AGENT_UNRESPONSIVE */
    uint64_t frozen_ms;                    /* since when it is, of clock_now_ms(); 0: it is not */
};

/* Bounds every answer of the agent from now on; part of guest_freeze_start(). */
int guest_freeze_limit_agent(struct guest_freeze *freeze, virDomainPtr domain, struct error *err);

/*
 * Asks the agent whether it is there, then freezes. On failure the guest is as it was, or
 * thaw_needed says that the agent may still come to it. A guest that somebody else has frozen is
 * left alone: the agent refuses. One that has nothing to freeze is a success, and is thawed.
 */
int guest_freeze_start(struct guest_freeze *freeze, virDomainPtr domain, struct error *err);

/* Thaws if need be. To be called again after a failure. Without a domain (NULL) it is not tried. */
int guest_freeze_end(struct guest_freeze *freeze, virDomainPtr domain, struct error *err);

/* Gives the agent its unlimited time to answer back, libvirt's default; not without a domain. */
int guest_freeze_release_agent(struct guest_freeze *freeze, virDomainPtr domain, struct error *err);

/*
 * EBUSY when the agent answers as in a frozen guest, before anything was begun; a guest without an
 * agent is not frozen.
 */
int guest_freeze_check_thawed(struct guest_freeze *freeze, virDomainPtr domain, struct error *err);

/* The same, and EIO when its agent does not answer: nobody could tell later. */
int guest_freeze_need_thawed(struct guest_freeze *freeze, virDomainPtr domain, struct error *err);

/*
 * Thaws a guest that a caller who is gone may have frozen, unless its agent answers as in a thawed
 * one. After a failure it may be frozen still: to be called again.
 */
int guest_freeze_end_left(struct guest_freeze *freeze, virDomainPtr domain, struct error *err);

/*
 * libvirt_domain_find_again(), after which the freeze of a guest that has ended is forgotten.
 */
int guest_freeze_find_again(struct guest_freeze *freeze, const char *uuid, virDomainPtr *domain,
                            bool *ret_active, struct error *err);
