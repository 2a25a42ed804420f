/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of what this host must have before a snapshot can be taken, and of what else an
 * operator wants to know of it. Looked at by --check-config, by preflight and by doctor.
 */
#pragma once

#include "agent/host_check.h"

enum host_checks_kind {
    HOST_CHECKS_LOCAL = 1,  /* what the configuration names is here; nobody is asked */
    HOST_CHECKS_FIT = 2,    /* without it no snapshot is taken */
    HOST_CHECKS_DOCTOR = 4, /* all of them */
};

/* What became of one. All is borrowed. */
struct host_finding {
    const char *name;
    const char *remedy;           /* what to do when it is not well */
    bool is_local;                /* the trouble does not tell what it is of, the name does */
    const struct error *trouble;  /* NULL = all is well */
    const struct host_fact *fact; /* "" = nothing more is known */
};

/* False: enough is known. */
typedef bool (*host_checks_tell)(void *arg, const struct host_finding *finding);

/*
 * Looks at all of one kind, in the same order each time, what is near first: it is the cheapest,
 * and the rest may fail for it. Facts are asked for with HOST_CHECKS_DOCTOR. Returns how much is
 * not well. Ends early, with what is cancelled told as trouble (ECANCELED). Any thread.
 */
unsigned host_checks_run(struct host_view *view, enum host_checks_kind kind, host_checks_tell tell,
                         void *arg);
