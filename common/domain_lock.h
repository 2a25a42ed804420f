/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process at a time does anything to a domain: the agent or the operators' tool. The lock is a
 * UNIX socket in the abstract namespace, named after the domain's uuid: no folder that both of
 * them, who may be two users, could write to, and nothing that a process leaves which is killed. It
 * is one of the network namespace, which the two have to share. Thread-safe.
 */
#pragma once

#include "common/error.h"

/*
 * Takes it, without waiting: *ret_fd is to be kept open, and closing it gives the lock back. EBUSY
 * naming the process that has it.
 */
int domain_lock_take(const char *uuid, int *ret_fd, struct error *err);
