/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks after the task states of snapshots under way. nova-compute clears them when it starts
 * (nova.compute.manager:_init_instance), and a server without one may be stopped, rebooted or
 * snapshotted again by its tenant, and a saved guest is stopped for good by nova's own look at
 * power states: such a state is saved again. A state that somebody else has set cancels the
 * snapshot, and so does an instance that has moved to another host. As long as the state is ours
 * the instance's progress is saved with each look that finds it worth telling. One thread, which
 * sleeps while there is nothing to look after. Thread-safe; a NULL watch looks after nothing.
 */
#pragma once

#include "agent/canceller.h"
#include "agent/instance_queue.h"
#include "agent/jobs.h"
#include "amqp/bus.h"

struct state_watch;
struct watched_state;

/*
 * `bus`, which may be started later, and `host`, this one as nova names it, are borrowed; a look is
 * taken each `interval_ms`. Returns owned.
 */
int state_watch_new(struct bus *bus, const char *host, unsigned interval_ms,
                    struct state_watch **ret_watch, struct error *err);

/* NULL-safe. Nothing may be watched any more. */
void state_watch_free(struct state_watch *watch);

/* Whose task state is watched. */
struct state_watch_subject {
    const char *instance_uuid;           /* copied */
    const struct request_context *admin; /* copied */
    struct instance_turn *turn;          /* borrowed until state_watch_end(), as the next */
    struct cancellable *cancellable;     /* what it is cancelled through */
    struct job *job;                     /* whose percent are the instance's progress; NULL: none */
    int progress;                        /* of the instance now; -1 = None */
};

/* Nothing is expected yet. Returns owned. */
int state_watch_begin(struct state_watch *watch, const struct state_watch_subject *subject,
                      struct watched_state **ret_watched, struct error *err);

/* NULL-safe, as the next two. */
void state_watch_end(struct watched_state *watched);

/* Nobody looks while the owner moves the state; waits for a look that is under way. */
void state_watch_pause(struct watched_state *watched);

/* From now on the state is to be this one (not copied); NULL: whatever it is. */
void state_watch_expect(struct watched_state *watched, const char *task_state);

/* Whether the state is one that nova-api sets for the request that stands behind `turn`. */
bool state_watch_is_of_next(const struct instance_turn *turn, const char *task_state);
