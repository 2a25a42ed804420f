/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operators of this host may ask and change while the agent runs, see control/control.h.
 * It holds until the next start, or until SIGHUP reads the configuration again.
 */
#pragma once

#include <signal.h>

#include "control/control.h"

struct agent;

/*
 * What takes longer than an answer may is left to the main thread, to which this signal comes with
 * one of these.
 */
#define OPERATOR_SIGNAL SIGRTMIN
enum operator_wish { OPERATOR_DRAIN = 1, OPERATOR_RESUME };

/* Asked with a struct agent. */
extern const struct control_ops operator_ops;

/* Listens on [snapshot_agent]control_socket, if there is to be one; without it the agent serves all
 * the same, with a warning. */
void operator_listen(struct agent *agent);
