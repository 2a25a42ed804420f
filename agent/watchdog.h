/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small process that looks after the agent: when it dies, whatever way that goes, a program is
 * run that thaws the guests it has left frozen, at once and not when somebody starts the agent
 * again. The agent looks after the process in turn: one that dies is started again.
 *
 * Whoever ends the agent has to leave the watchdog alone (systemd: KillMode=process). It ends by
 * itself when the program has.
 */
#pragma once

#include "common/error.h"

struct watchdog;

/*
 * Starts the process, and a thread that waits for its death. `program` is opened now, so that it is
 * run even if it is not there any more then; it is run with `argv` (NULL-ended, borrowed until
 * watchdog_stop()), only stderr open, and signals that end a group ignored. Returns owned.
 */
int watchdog_start(const char *program, char *const *argv, struct watchdog **ret_watchdog,
                   struct error *err);

/*
 * The agent ends in order: the program is run for what could not be thawed, and waited for up to
 * `timeout_ms`; one that takes longer goes on alone. Frees. NULL-safe.
 */
void watchdog_stop(struct watchdog *watchdog, unsigned timeout_ms);
