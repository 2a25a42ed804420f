/*
 * After an agent that died: every request it has left in the journal is brought to its end, and
 * every guest it has left frozen is thawed.
 */
#pragma once

#include "common/error.h"

struct agent;
struct recovery;

/* Returns owned. */
int recovery_new(struct recovery **ret_recovery, struct error *err);
void recovery_free(struct recovery *recovery); /* NULL-safe */

/*
 * Starts a worker for each request in the journal, and waits until the guests are as they were
 * before those, at most `timeout_ms`: before the agent takes new requests. What needs conductor,
 * Glance and Cinder goes on in the background, once the bus has been started.
 */
int recovery_run(struct recovery *recovery, struct agent *agent, unsigned timeout_ms,
                 struct error *err);

/* Told by each worker whose record has entries of the driver: they are dealt with. */
void recovery_guest_is_back(struct recovery *recovery);
