/* SPDX-License-Identifier: Apache-2.0 */
/* Failures that may be gone in a while, and how long to wait for that. Any thread. */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "common/retry.h"

struct instance_turn;
struct shutdown;

/* What may be otherwise in a while: nobody answered, or a service is not itself. */
bool temporary_failure(const struct error *err);

/* The pauses until then: growing to some seconds, and after an hour of five minutes, for ever. */
struct temporary_wait {
    struct retry retry;              /* of the first hour */
    const struct shutdown *shutdown; /* borrowed */
};

struct temporary_wait temporary_wait_begin(const struct shutdown *shutdown);

/*
 * Waits before the next try. `turn`, where it is not NULL, is the caller's: others of the instance
 * go on during a long pause, and it is the caller's again when this returns true. False when the
 * agent is to end, or the thread's work is cancelled: the turn may have been passed then.
 */
bool temporary_wait_next(struct temporary_wait *wait, struct instance_turn *turn);
