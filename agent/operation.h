/*
 * A snapshot under way: what the files that make an image share. Belongs to the worker thread that
 * serves the request.
 */
#pragma once

#include "agent/plan.h"
#include "agent/report.h"

#define IMAGE_SNAPSHOT_PENDING "image_snapshot_pending"
#define IMAGE_SNAPSHOT "image_snapshot"
#define IMAGE_BACKUP "image_backup"
#define IMAGE_PENDING_UPLOAD "image_pending_upload"
#define IMAGE_UPLOADING "image_uploading"

/* The arguments of snapshot_instance and backup_instance. Strings point into the request. */
struct snapshot_request {
    struct instance instance;
    const char *image_id;
    const char *backup_type; /* NULL: no backup */
    unsigned rotation;       /* backups to keep */
};

struct operation {
    struct agent *agent;
    struct rpc_request *request;
    struct request_context *admin;
    struct snapshot_request arguments;
    struct report report;
    const char *task_state; /* what the database holds as far as we know ... */
    const char *next_state; /* ... or this, when a save got no answer */
    struct guest_info info;
    struct snapshot_plan plan; /* its strings point into info and conf */
    bool event_started;
    bool upload_started; /* from here on what Glance holds may be ours */
    bool image_complete; /* active and verified: no failure may delete it any more */
};

/* Saves the next task state, expecting the present one. Errors as report_task_state(). */
int operation_move_to(struct operation *op, const char *task_state, struct error *err);
