/* SPDX-License-Identifier: Apache-2.0 */
/* A counting semaphore that serves in the order of arrival, as eventlet's does. Thread-safe. */
#pragma once

#include "common/error.h"

struct slots;

/* `limit` 0 = unlimited. Returns owned. */
int slots_new(unsigned limit, struct slots **ret_slots, struct error *err);

/*
 * Waits for a slot: 0 when there is one to release, -ECANCELED with the reason when the thread's
 * work is cancelled first. There is no deadline: whoever holds one has deadlines of its own.
 */
int slots_acquire(struct slots *slots, struct error *err);
void slots_release(struct slots *slots);

/* How it is at this instant. */
struct slots_usage {
    unsigned limit; /* 0 = none */
    unsigned taken;
    unsigned waiting;
};
struct slots_usage slots_usage(struct slots *slots);

/* From now on; slots beyond a lower limit are not taken away, only not given again. */
void slots_set_limit(struct slots *slots, unsigned limit);

/* NULL-safe. Nobody may be waiting. */
void slots_free(struct slots *slots);
