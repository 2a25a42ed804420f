/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the watchdog runs when the agent has died: this same program, told on its command line all
 * it has to know, for the configuration may have changed since the agent read it.
 */
#pragma once

#include <stdbool.h>

#include "agent/freeze_ledger.h"
#include "common/id.h"
#include "conf/conf.h"

#define THAW_LEFT_ARGUMENTS 11

struct thaw_left_command {
    char *argv[THAW_LEFT_ARGUMENTS + 1];
    char owner[ID_HEX_SIZE];
    char stall_timeout[16];
    char freeze_timeout[16];
};

/* The arguments; they point into the command and `conf`, which have to outlive them. */
void thaw_left_prepare(struct thaw_left_command *command, const struct conf *conf,
                       const struct freeze_ledger *ledger);

/* True when the program was run with such arguments. */
bool thaw_left_is_asked(int argc, char *const *argv);

/*
 * Thaws the guests that agent has frozen and not thawed, side by side, each tried for a minute.
 * Connects to the hypervisor only when there are any. Returns the exit status.
 */
int thaw_left_main(char *const *argv);
