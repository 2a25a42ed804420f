/* SPDX-License-Identifier: Apache-2.0 */
/* Why a guest of libvirt's test driver is paused, which that driver cannot be told. */
#pragma once

#include <libvirt/libvirt.h>

static int reason_of_pause; /* as libvirt says it; -1: as it is */

int __real_virDomainGetState(virDomainPtr domain, int *state, int *reason, unsigned flags);
int __wrap_virDomainGetState(virDomainPtr domain, int *state, int *reason, unsigned flags);
int __wrap_virDomainGetState(virDomainPtr domain, int *state, int *reason, unsigned flags)
{
    int r = __real_virDomainGetState(domain, state, reason, flags);
    if (reason_of_pause >= 0 && *state == VIR_DOMAIN_PAUSED && reason)
        *reason = reason_of_pause;
    return r;
}
