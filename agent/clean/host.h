/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What snapshots have left on this host: folders below snapshots_directory, and block jobs that
 * write there. Confined to the thread of a run of run.h.
 */
#pragma once

#include "agent/clean/look.h"

/* Looks for all of it, and judges it. */
void clean_host_find(struct clean_look *look);

/* Ends the jobs and removes the folders that are nobody's. */
void clean_host_remove(struct clean_look *look);
