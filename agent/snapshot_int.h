/* SPDX-License-Identifier: Apache-2.0 */
/* What snapshot.c and snapshot_recover.c share. */
#pragma once

#include "agent/operation.h"
#include "agent/snapshot.h"

/* Fills the operation from its request, which was handed over. To be ended also after a failure. */
int snapshot_begin(struct operation *op, struct error *err);

/* What nobody can understand is not forgotten: people may look at it. */
void snapshot_refuse(struct operation *op, const struct error *err);

/*
 * Takes the snapshot when its turn comes, and brings it to its end. For one that is begun again as
 * well: what an earlier life has made is gone.
 */
void snapshot_take(struct operation *op);
