/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that may be cancelled from outside: by a tenant who deletes the image or the server, by a
 * host that runs out of space, by the agent's own end.
 *
 * The thread that does the work enters its cancellation; from then on every wait of that thread
 * ends soon after a request (helper programs, transfers, block jobs, slots), with ECANCELED and the
 * error the request gave. What brings a guest back is shielded from it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct cancel;

/* Returns owned. */
int cancel_new(struct cancel **ret_cancel, struct error *err);

/* NULL-safe. No thread may be inside any more. */
void cancel_free(struct cancel *cancel);

/*
 * Requests it; the first reason stays. `reason` is copied: its class and message are what the work
 * will fail with, its errnum is ECANCELED whatever it was. Thread-safe.
 */
void cancel_request(struct cancel *cancel, const struct error *reason);

/* From now on the calling thread's work is cancelled by it; NULL: by nothing. Returns what it was.
 */
struct cancel *cancel_enter(struct cancel *cancel);

/* What the calling thread has entered: to be entered by threads that help it. */
struct cancel *cancel_current(void);

/* 0, or -ECANCELED with the reason in *err, for the calling thread. */
int cancel_check(struct error *err);

/* Readable once cancelled, for poll(); -1 when nothing can cancel this thread. Borrowed. */
int cancel_fd(void);

/*
 * Waits until `fd` can be read: 0 when it can, whatever else is true; -ECANCELED with the reason;
 * -ETIMEDOUT at `deadline_ms` of clock_now_ms(), NEVER_MS for none.
 */
int cancel_await(int fd, uint64_t deadline_ms, struct error *err);

/* Nothing is cancelled from here to the end of the scope: for rollbacks. */
#define CANCEL_SHIELD()                                                                            \
    __attribute__((cleanup(cancel_unshield), unused)) struct cancel *cancel_shielded =             \
        cancel_enter(NULL)

void cancel_unshield(struct cancel **shielded);
