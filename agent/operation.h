/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot under way: what the files that make an image share. Belongs to the worker thread that
 * serves the request.
 */
#pragma once

#include "agent/instance_request.h"
#include "agent/plan.h"
#include "agent/summary.h"
#include "common/metric.h"

/* The arguments of snapshot_instance and backup_instance. Strings point into the request. */
struct snapshot_arguments {
    const char *image_id;
    const char *backup_type; /* NULL: no backup */
    unsigned rotation;       /* backups to keep */
};

/*
 * What is brought to its end whatever became of the image, in this order; a step that has been done
 * is not done again, even by another agent.
 */
enum finish_step {
    FINISH_GUEST,   /* as it was before */
    FINISH_VOLUMES, /* Cinder snapshots no image refers to */
    FINISH_IMAGE,   /* active and verified, or gone */
    FINISH_STATE,   /* the task state */
    FINISH_BACKUPS, /* older ones beyond the rotation */
    FINISH_FAULT,
    FINISH_EVENT,
    FINISH_NOTIFICATION,
    FINISH_MAX
};

struct operation {
    struct instance_request base;
    struct snapshot_arguments arguments;
    struct driver_journal driver_journal;
    struct driver_owner driver_owner;
    struct driver_observer observer;
    char instant[32];       /* of the disk, ISO 8601 in UTC; "": not yet */
    const char *task_state; /* what the database holds as far as we know ... */
    const char *next_state; /* ... or this, when a save got no answer */
    struct guest_info info;
    enum snapshot_method wanted_method; /* when it was planned */
    struct snapshot_plan plan;          /* its strings point into info and conf */
    struct plan_quiesce quiesce;
    struct summary summary;
    char method_reason[ERROR_MESSAGE_MAX]; /* why it is not the wanted method; "": not to be told */
    bool is_direct;                        /* the image is a clone within the cluster */
    bool is_streamed;                      /* reading the image reads the guest's disk */
    bool guest_is_back; /* the driver has left the guest as it was, or never touched it */
    struct cancellable *cancellable; /* who may cancel it; NULL = nobody */
    struct watched_state *watched;
    bool event_started;
    bool upload_started; /* from here on what Glance holds may be ours */
    bool image_complete; /* active and verified: no failure may delete it any more */
    bool is_interrupted; /* by the agent's end, and by nothing else */
    unsigned ended;      /* bits of enum finish_step */
};

/* What it is at from now on: for the log, the summary and a status report. */
void operation_enter(struct operation *op, enum summary_phase phase);

/* How it is taken, a constant: for the same. */
void operation_set_method(struct operation *op, const char *method);

/* Counts what it came to, and logs it, its last line at level info: "Snapshot image <id> <text>".
 */
void operation_log_summary(struct operation *op, enum metric_outcome outcome, const char *text);

/*
 * Notifies of a phase of the snapshot, "start" or "end"; that nobody can be told is only a warning.
 */
void operation_notify_phase(struct operation *op, const char *phase);

/* Notes that Glance gets data from us from now on; fails when that cannot be written down. */
int operation_upload_starts(struct operation *op, struct error *err);

/* Notes that the image is there. */
int operation_image_is_complete(struct operation *op, struct error *err);

/* What has been noted of an earlier life of the operation. */
void operation_restore(struct operation *op);

/* The failure an earlier life has come to; false when it had come to none. */
bool operation_restore_failure(const struct operation *op, struct error *ret_failure);

/* Whether the life before this one was ended in order before the operation was. */
bool operation_was_interrupted(const struct operation *op);

/* How often the operation was taken up in all, and how often after an agent that died. */
size_t operation_lives(const struct operation *op);
size_t operation_deaths(const struct operation *op);

/* From here on the canceller may cancel the work of this thread; without one it goes on alone. The
 * task state is looked after from the first move on. */
void operation_begin_cancellable(struct operation *op);

/*
 * The agent's end keeps the operation, which has failed (r < 0), from its own: what was made is
 * left to the next start, not undone. For the thread whose work may be cancelled.
 */
bool operation_is_left(const struct operation *op, int r);

/*
 * From here on nothing is cancelled. What a cancelled operation failed with is why it was
 * cancelled, whatever came of that on its way here.
 */
void operation_end_cancellable(struct operation *op, struct error *failure);
