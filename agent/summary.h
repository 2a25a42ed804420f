/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a snapshot came to, in one line of the log: the outcome, how it was taken and why not
 * otherwise, whether of a frozen guest, and how long each phase took. Pure but for the clock;
 * belongs to the worker thread of the snapshot.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum summary_phase {
    SUMMARY_TURN,    /* another request has the instance */
    SUMMARY_SLOT,    /* so many snapshots or disk operations are allowed at the same time */
    SUMMARY_PREPARE, /* what is there is looked at, states are saved */
    SUMMARY_COPY,    /* to an image that can be sent */
    SUMMARY_UPLOAD,
    SUMMARY_FINISH, /* what has to be true afterwards is made true */
    SUMMARY_PHASE_MAX
};

enum summary_quiesce {
    SUMMARY_QUIESCE_NONE,  /* the guest was not touched */
    SUMMARY_QUIESCE_NO,    /* for the reason that is given */
    SUMMARY_QUIESCE_ASKED, /* of a driver that does not tell */
    SUMMARY_QUIESCE_YES,
};

struct summary {
    enum summary_phase phase;
    uint64_t since_ms; /* of clock_now_ms(): when the phase began; 0 = nothing has begun */
    uint64_t spent_ms[SUMMARY_PHASE_MAX];
    const char *method;        /* constant; NULL = it has not come to that */
    const char *wanted_method; /* constant: of method_reason */
    const char *method_reason; /* why it is not the wanted one; NULL or "" = it is */
    enum summary_quiesce quiesce;
    const char *quiesce_reason; /* of SUMMARY_QUIESCE_NO; NULL or "" = not known */
    uint64_t image_bytes;       /* 0 = no data of ours */
};

/* As a status report and the line name it: "upload". */
const char *summary_phase_name(enum summary_phase phase);

/* From now on the time is this phase's. One that is entered again goes on counting. */
void summary_enter(struct summary *summary, enum summary_phase phase);

/*
 * Writes the line, without what is not known; what does not fit is cut off. `outcome` completes
 * "Snapshot image <image_id> ".
 */
void summary_write(const struct summary *summary, const char *image_id, const char *outcome,
                   char *text, size_t size);
