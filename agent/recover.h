/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After an agent that died: every request it has left in the journal is brought to its end, and
 * every guest it has left frozen is thawed.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"

struct agent;
struct journal_record;
struct recovery;
struct rpc_request;

/*
 * Starts a worker (true) that brings a request of the journal to its end. Takes both, also on
 * failure.
 */
typedef bool (*recovery_start)(struct agent *agent, struct rpc_request *request,
                               struct journal_record *record);

/*
 * `redelivery_ms`: how long the broker and who gets it may take to begin what was given back to
 * them. Returns owned.
 */
int recovery_new(unsigned redelivery_ms, recovery_start start, struct recovery **ret_recovery,
                 struct error *err);
void recovery_free(struct recovery *recovery); /* NULL-safe */

/*
 * Starts a worker for each request in the journal, and waits until the guests are as they were
 * before those, at most `timeout_ms`: before the agent takes new requests. Nothing else is done
 * until recovery_bus_is_started().
 */
int recovery_run(struct recovery *recovery, struct agent *agent, unsigned timeout_ms,
                 struct error *err);

/*
 * Brings one request to its end of which nobody knows whether the broker has given it to somebody
 * else, as one of an earlier life. Takes both.
 */
void recovery_take(struct recovery *recovery, struct agent *agent, struct rpc_request *request,
                   struct journal_record *record);

/* Whether conductor can be asked already. */
bool recovery_bus_has_started(struct recovery *recovery);

/* What needs conductor, Glance and Cinder goes on in the background from now on. */
void recovery_bus_is_started(struct recovery *recovery);

/*
 * Each worker tells that what the driver has noted is dealt with (also when there was nothing), and
 * waits here for the bus.
 */
void recovery_guest_is_back(struct recovery *recovery);

/*
 * Waits as long as a request may take that the broker gives to somebody else: counted from when it
 * can, which is while we are attached, beside nova-compute. A queue whose node is away still has
 * it. No limit but the agent's end: false then, or when the work is cancelled.
 */
bool recovery_await_redelivery(const struct agent *agent);
