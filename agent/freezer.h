/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests that are frozen for the time of a snapshot of their volumes, each with a deadline: when
 * the thaw does not come in time, a thread of the freezer does it. Thread-safe.
 */
#pragma once

#include <stdbool.h>

#include "agent/freeze_ledger.h"
#include "driver/driver.h"

struct freezer;

/* `driver` and `ledger` are borrowed. Starts the thread. Returns owned. */
int freezer_new(struct driver *driver, const struct freeze_ledger *ledger, unsigned deadline_ms,
                struct freezer **ret_freezer, struct error *err);

/* Thaws, in the background, what the ledger says an earlier agent has left frozen. */
int freezer_take_over(struct freezer *freezer, struct error *err);

/*
 * Freezes the guest's filesystems; they are thawed `deadline_ms` from now at the latest. Fails as
 * driver_ops.freeze, and with InternalError when the guest is frozen by an earlier call.
 */
int freezer_freeze(struct freezer *freezer, const char *uuid, struct error *err);

/* True while the guest stands still because of freezer_freeze(). */
bool freezer_holds(struct freezer *freezer, const char *uuid);

/* How many guests are frozen, or to be thawed still. */
unsigned freezer_count(const struct freezer *freezer);

/* Milliseconds until the guest is thawed anyway; 0 when it is not frozen. */
unsigned freezer_left_ms(struct freezer *freezer, const char *uuid);

/*
 * Thaws now, whoever froze. After a failure the freezer goes on trying by itself.
 */
int freezer_thaw(struct freezer *freezer, const char *uuid, struct error *err);

/*
 * Before the agent ends: thaws what is still frozen, each guest once. Nothing is thawed by itself
 * from now on.
 */
void freezer_thaw_all(struct freezer *freezer);

/* freezer_thaw_all(), and frees. No other call may be running. NULL-safe. */
void freezer_free(struct freezer *freezer);
