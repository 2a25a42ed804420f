/* SPDX-License-Identifier: Apache-2.0 */
/* The command that shows and removes what snapshots have left. */
#pragma once

#include "tool/invocation.h"

/* What the man page says of it. */
#define CLEAN_MORE                                                                                 \
    "Folders in snapshots_directory, block jobs that write there, images that nobody fills and "   \
    "task states, of nova-compute's snapshots as well. Each with the proof that it is nobody's, "  \
    "or why it is left alone. There is a proof for what this agent has made itself, and for "      \
    "folders and jobs of nova-compute after its next start. --yes looks anew before it removes. "  \
    "Fails when something could not be looked at or removed."

enum invocation_exit clean_leftovers(const struct invocation *invocation);
