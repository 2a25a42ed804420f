/* SPDX-License-Identifier: Apache-2.0 */
/* One look at this host, and what it finds: the type of the rows of host_checks.c. */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "common/request_context.h"
#include "conf/sources.h"
#include "driver/driver.h"

struct agent;

/* Who looks. Everything is borrowed but the context. */
struct host_view {
    const struct agent *agent;          /* its parts are there; nothing is for a local check */
    const struct conf_sources *sources; /* NULL: nobody asks for them */
    bool is_serving;                    /* this process is the host's agent ... */
    struct error unfit;                 /* ... which takes no requests because of this */
    bool is_thorough;                   /* what an answer is kept of is asked for anew */
    bool is_bad;                        /* an earlier check has found something wrong */
    const char *glance_url;             /* where the last request has found it; NULL: not known */
    struct request_context *context;    /* of [service_user]; owned; NULL: there is none (yet) */
    char hypervisor[DRIVER_TEXT_MAX];   /* as it describes itself; "" = it has not been asked */
};

/* What is worth telling of a check that is passed. */
struct host_fact {
    bool is_warning; /* snapshots are taken all the same */
    char text[512];
};

/*
 * 0, and `fact` may be filled in, or an error that says what is wrong. NULL for `fact`: nobody
 * wants to know. Any thread; changes nothing that anybody would notice, and has a deadline.
 */
typedef int host_check_look(struct host_view *view, struct host_fact *fact, struct error *err);

void host_check_tell(struct host_fact *fact, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same of something that should be otherwise. */
void host_check_warn(struct host_fact *fact, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
