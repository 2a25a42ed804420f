/* SPDX-License-Identifier: Apache-2.0 */
/* The command that shows and removes what snapshots have left. */
#pragma once

#include "tool/invocation.h"

/* What the man page says of it. */
#define CLEAN_MORE                                                                                 \
    "Folders in snapshots_directory, block jobs that write there, images that nobody fills and "   \
    "task states, of nova-compute's snapshots as well. Each with how it is known to be nobody's, " \
    "or why it is left alone: nothing is touched of which that cannot be proven. What "            \
    "nova-compute "                                                                                \
    "has left is known by its age, after nova-compute was started again. Fails when something "    \
    "could not be looked at or removed."

enum invocation_exit clean_leftovers(const struct invocation *invocation);
