/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every request about an instance has, whatever it asks for: who serves it, its record in the
 * journal, its place in the instance's line. Belongs to the worker thread that serves it.
 */
#pragma once

#include "agent/instance.h"
#include "agent/jobs.h"
#include "common/error.h"
#include "common/request_context.h"

struct agent;
struct instance_turn;
struct journal_record;
struct rpc_request;

struct instance_request {
    /* As the dispatcher hands it to whoever serves the request, who takes it over. */
    struct agent *agent;           /* borrowed, as all its parts */
    struct rpc_request *request;   /* owned */
    struct journal_record *record; /* owned; NULL: its method is not in the journal */
    struct instance_turn *turn;    /* borrowed; NULL: it waits for no other request */

    /* From instance_request_begin() on; owned. */
    struct job job;                /* its image_id is to be set before */
    struct request_context *admin; /* context.elevated() */
    struct instance instance;
    bool restores_progress; /* the end of its task state puts back the instance's progress */
};

/*
 * Reads the instance of a request that was handed over, elevates its context and names both in this
 * thread's log lines. To be ended also after a failure. It may not move meanwhile.
 */
int instance_request_begin(struct instance_request *op, struct error *err);

/* Loads image properties, which nova-api leaves out of some requests. */
int instance_request_load_properties(struct instance_request *op, struct error *err);

/* Frees all but the record: that goes to its end, or stays for the next start. */
void instance_request_end(struct instance_request *op);
