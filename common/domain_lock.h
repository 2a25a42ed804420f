/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process at a time does anything to a domain: the agent or the operators' tool. The lock is
 * flock()'s, of a file named after the domain's uuid, in a folder that nobody else may enter:
 * whoever could open the file could keep both of them waiting. A process that is killed leaves an
 * empty file and no lock. Thread-safe.
 */
#pragma once

#include "common/error.h"

/* root's, or the agent's own user's, as systemd makes it (RuntimeDirectory). */
#define DOMAIN_LOCK_FOLDER "/run/nova-snapshot"

struct domain_lock;

/*
 * Takes it, without waiting; makes the folder (0700) where it is missing. EBUSY naming the process
 * that has it; EPERM when others than root and we may enter the folder; EINVAL for no uuid. Returns
 * owned.
 */
int domain_lock_take(const char *folder, const char *uuid, struct domain_lock **ret_lock,
                     struct error *err);

/* Gives it back. NULL-safe. */
void domain_lock_release(struct domain_lock *lock);
