/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds what snapshots that crashed have left on this host, nova-compute's as well, and removes it:
 * folders, block jobs, images, task states. What cannot be proven to be nobody's is shown and left
 * alone. One run at a time, on a thread of its own: who asks for it looks for its result.
 * Thread-safe.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"

struct agent;
struct clean;

/* `agent` is borrowed, with all its parts. Returns owned. */
int clean_new(struct agent *agent, struct clean **ret_clean, struct error *err);

/* NULL-safe. Ends a run that is under way between two things it does, and waits for that. */
void clean_free(struct clean *clean);

/*
 * Begins a run: looks, and with `apply` removes what it has found to be nobody's. *ret_run is its
 * number. EBUSY while another is under way.
 */
int clean_start(struct clean *clean, bool apply, unsigned *ret_run, struct error *err);

/* The last run, as docs/design.md describes it; NULL without memory. Owned. */
json_t *clean_view(struct clean *clean);
