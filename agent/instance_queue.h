/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One operation per instance: two of them, each right alone, can leave a guest shut off or its
 * newest writes in a file nobody opens again. Requests on an instance stand in line in the order
 * they came in, and each has its turn. Thread-safe.
 *
 * Names begin with instance_queue_ and instance_turn_.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct instance_queue;
struct instance_turn; /* a place in the line of an instance; used by one thread */

/* Returns owned. */
int instance_queue_new(struct instance_queue **ret_queue, struct error *err);

/*
 * From here on whoever has a turn also holds the domain's lock (common/domain_lock.h), so that the
 * operators' tool is not at work on the guest. `folder` is where they are locked, borrowed. Before
 * anybody stands in it.
 */
void instance_queue_lock_domains(struct instance_queue *queue, const char *folder);

/* NULL-safe. Nobody may stand in it. */
void instance_queue_free(struct instance_queue *queue);

/* Takes the place at the end of the instance's line; does not wait. Returns owned. */
int instance_queue_join(struct instance_queue *queue, const char *instance_uuid,
                        struct instance_turn **ret_turn, struct error *err);

/* How many stand in a line and have not their turn. */
unsigned instance_queue_waiting(struct instance_queue *queue);

/*
 * Waits for the turn, and for the domain's lock where that can be had: 0 when nobody is before it;
 * -ECANCELED with the reason when the thread's work is cancelled first; -ETIMEDOUT at `deadline_ms`
 * of clock_now_ms(). Its place is kept after a failure. A NULL turn is that of a request nobody
 * else can meet, here and below.
 */
int instance_turn_await(struct instance_turn *turn, uint64_t deadline_ms, struct error *err);

/* Whether somebody stands behind it. */
bool instance_turn_is_waited_for(const struct instance_turn *turn);

/*
 * The instance's progress before anybody in the line showed theirs there: what whoever stands, or
 * stood, before this one was told here, else `progress`, which this one has read; -1 = None.
 */
int instance_turn_progress_before(struct instance_turn *turn, int progress);

/* Gives the turn, or the place, up: the next one is free to go on. May be repeated. */
void instance_turn_pass(struct instance_turn *turn);

/*
 * The same of a request that the next start of the agent goes on with: whoever stands behind it is
 * told by instance_turn_follows_left(), and may not be served before.
 */
void instance_turn_leave(struct instance_turn *turn);
bool instance_turn_follows_left(const struct instance_turn *turn);

/* Takes the place at the end of the line, when it has given up its own. NULL-safe. */
void instance_turn_join_again(struct instance_turn *turn);

/* Passes, and frees. */
void instance_turn_free(struct instance_turn *turn);
