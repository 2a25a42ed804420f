/* SPDX-License-Identifier: Apache-2.0 */
/* The one job that libvirt is at with a domain, whoever has asked for it. On any thread. */
#pragma once

#include <libvirt/libvirt.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct domain_job {
    int operation;      /* virDomainJobOperation; _UNKNOWN: there is none, or it does not say */
    uint64_t since_ms;  /* of clock_now_ms(); 0: it does not say */
    uint64_t processed; /* bytes */
};

/* EIO as libvirt says: also of a job that tells nothing of itself, as while disks are switched. */
int domain_job_read(virDomainPtr domain, struct domain_job *ret_job, struct error *err);

/*
 * Whether a call for `operation` made at `asked_ms` has come to its turn: libvirt names no caller,
 * but a job that was there before it is another's. `ret_job` is set when it has.
 */
bool domain_job_is_begun(virDomainPtr domain, int operation, uint64_t asked_ms,
                         struct domain_job *ret_job);

/* Aborts the job of that call, and no other: what it waits for is not its own. */
void domain_job_abort(virDomainPtr domain, int operation, uint64_t asked_ms);
