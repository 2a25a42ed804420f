/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What snapshots have left in Nova and in Glance: images that nobody fills, and task states of this
 * host's servers. Only an image that this agent has marked as its own can be known to be nobody's:
 * anybody may have made another, and for a task state there is no such mark. Confined to the thread
 * of a run of run.h.
 */
#pragma once

#include "agent/clean/look.h"

/* Looks for all of it, and judges it. */
void clean_nova_find(struct clean_look *look);

/* Deletes the images that are nobody's. */
void clean_nova_remove(struct clean_look *look);
