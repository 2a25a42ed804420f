/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who cancels snapshots: their image or their server was deleted, or the agent ends. One thread,
 * which sleeps while there is no snapshot. All functions but overseer_new() and overseer_free() are
 * thread-safe; a NULL overseer oversees nothing.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "common/request_context.h"
#include "glance_client/glance.h"

struct overseer;
struct overseen; /* an operation that can be cancelled */

/* `glance` is borrowed; a look is taken each `interval_ms`. Returns owned. */
int overseer_new(struct glance *glance, unsigned interval_ms, struct overseer **ret_overseer,
                 struct error *err);

/* NULL-safe. No operation may be registered any more. */
void overseer_free(struct overseer *overseer);

/*
 * Registers the work of the calling thread, which enters its cancellation (common/cancel.h); it
 * waits for its turn. Everything is copied. The thread itself ends it, with overseer_end().
 * From now on its image is looked at, in every phase: when it is gone, the work is cancelled with
 * ImageNotFound. What Glance fails with otherwise is ignored.
 */
int overseer_begin(struct overseer *overseer, const char *instance_uuid, const char *image_id,
                   const struct request_context *context, struct overseen **ret_overseen,
                   struct error *err);

enum overseen_phase {
    OVERSEEN_WAITS_FOR_TURN, /* another request has the instance */
    OVERSEEN_WAITS_FOR_SLOT,
    OVERSEEN_RUNS,
};

/* What it does from now on. NULL-safe, as the next three. */
void overseer_set_phase(struct overseen *overseen, enum overseen_phase phase);

/* The file of the root disk: when it is gone, the work is cancelled with InstanceNotFound. */
void overseer_set_disk(struct overseen *overseen, const char *path);

/* Cancels it alone. */
void overseer_cancel(struct overseen *overseen, const struct error *reason);

/* Leaves the cancellation. */
void overseer_end(struct overseen *overseen);

/*
 * nova-compute is about to delete the instance: its operations are cancelled with
 * UnexpectedDeletingTaskStateError, or for a soft delete with UnexpectedTaskStateError, which are
 * what the next save of the task state would find. Returns how many there are.
 */
unsigned overseer_instance_deleted(struct overseer *overseer, const char *instance_uuid, bool soft);

enum overseer_scope { OVERSEER_WAITING, OVERSEER_ALL };

/*
 * For the end of the agent: cancels what waits for a slot, or what runs as well. Not what waits for
 * its turn: it is free to go elsewhere only when nobody has its guest in hands any more. Returns
 * how many were cancelled.
 */
unsigned overseer_cancel_all(struct overseer *overseer, enum overseer_scope scope,
                             const struct error *reason);
