/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who cancels snapshots: their image or their server was deleted, or the agent ends. One thread,
 * which sleeps while there is no snapshot. All functions but canceller_new() and canceller_free()
 * are thread-safe; a NULL canceller cancels nothing.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "common/request_context.h"
#include "glance_client/glance.h"

struct canceller;
struct cancellable; /* an operation that can be cancelled */

/* `glance` is borrowed; a look is taken each `interval_ms`. Returns owned. */
int canceller_new(struct glance *glance, unsigned interval_ms, struct canceller **ret_canceller,
                  struct error *err);

/* NULL-safe. No operation may be registered any more. */
void canceller_free(struct canceller *canceller);

/*
 * Registers the work of the calling thread, which enters its cancellation (common/cancel.h); it
 * waits for its turn. Everything is copied. The thread itself ends it, with canceller_end().
 * From now on its image is looked at, in every phase: when it is gone, the work is cancelled with
 * ImageNotFound. What Glance fails with otherwise is ignored.
 */
int canceller_begin(struct canceller *canceller, const char *instance_uuid, const char *image_id,
                    const struct request_context *context, struct cancellable **ret_cancellable,
                    struct error *err);

enum cancellable_phase {
    CANCELLABLE_WAITS_FOR_TURN, /* another request has the instance */
    CANCELLABLE_WAITS_FOR_SLOT,
    CANCELLABLE_RUNS,
};

/* What it does from now on. NULL-safe, as the next three. */
void canceller_set_phase(struct cancellable *cancellable, enum cancellable_phase phase);

/* The file of the root disk: when it is gone, the work is cancelled with InstanceNotFound. */
void canceller_set_disk(struct cancellable *cancellable, const char *path);

/* Cancels it alone. */
void canceller_cancel(struct cancellable *cancellable, const struct error *reason);

/* Leaves the cancellation. */
void canceller_end(struct cancellable *cancellable);

/*
 * nova-compute is about to delete the instance: its operations are cancelled with
 * UnexpectedDeletingTaskStateError, or for a soft delete with UnexpectedTaskStateError, which are
 * what the next save of the task state would find. Returns how many there are.
 */
unsigned canceller_instance_deleted(struct canceller *canceller, const char *instance_uuid,
                                    bool soft);

/* An operator wants the snapshot to end whose image this is. Returns how many there are. */
unsigned canceller_image_unwanted(struct canceller *canceller, const char *image_id);

enum canceller_scope { CANCELLER_WAITING, CANCELLER_ALL };

/*
 * For the end of the agent: cancels what waits for a slot, or what runs as well. Not what waits for
 * its turn: it is free to go elsewhere only when nobody has its guest in hands any more. Returns
 * how many were cancelled.
 */
unsigned canceller_cancel_all(struct canceller *canceller, enum canceller_scope scope,
                              const struct error *reason);
