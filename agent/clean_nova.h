/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What snapshots have left in Nova and in Glance: task states of this host's servers, and images
 * that nobody fills. Confined to the thread of a run of clean.h.
 */
#pragma once

#include "agent/clean_look.h"

/* Looks for all of it, and judges it. */
void clean_nova_find(struct clean_look *look);

/* Deletes the images and clears the task states that are nobody's. */
void clean_nova_remove(struct clean_look *look);
