/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which guests this host's agent has frozen, in files that outlive it: one per guest in
 * <state_dir>/<host>.frozen, from before the freeze until the guest is known to be thawed. The
 * watchdog process reads it when the agent dies, the next agent when it starts. Files need not
 * outlive the host: its guests end with it. Thread-safe.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"

struct freeze_ledger;

/* Makes the folder when missing; errors as private_file_open_folder(). Returns owned. */
int freeze_ledger_open(const char *state_dir, const char *host, struct freeze_ledger **ret_ledger,
                       struct error *err);

/* The same for another process of the owner: freeze_ledger_owner(), borrowed there. */
int freeze_ledger_open_as(const char *state_dir, const char *host, const char *owner,
                          struct freeze_ledger **ret_ledger, struct error *err);
const char *freeze_ledger_owner(const struct freeze_ledger *ledger);

void freeze_ledger_free(struct freeze_ledger *ledger); /* NULL-safe */

/* The guest is about to be frozen by this ledger's owner. */
int freeze_ledger_add(const struct freeze_ledger *ledger, const char *uuid, struct error *err);

/* The guest is thawed. A file that is not there is fine; one that cannot be removed is logged. */
void freeze_ledger_remove(const struct freeze_ledger *ledger, const char *uuid);

/* Whether the last who froze the guest is this ledger's owner, and it is not known to be thawed. */
bool freeze_ledger_is_ours(const struct freeze_ledger *ledger, const char *uuid);

/* The one or the other, as a driver's journal asks for it. */
int freeze_ledger_note(const struct freeze_ledger *ledger, const char *uuid, bool frozen,
                       struct error *err);

/*
 * Calls visit() for each guest that is noted; `by_us` tells whether this ledger's owner did it, or
 * an agent before or after. visit() may add and remove. What others than the agent may have written
 * is left out, with an error in the log.
 */
int freeze_ledger_visit(const struct freeze_ledger *ledger,
                        void (*visit)(void *arg, const char *uuid, bool by_us), void *arg,
                        struct error *err);
