/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkpoints that stay, and were made with a layer that goes with a branch (branch_plan.h):
 * another one takes its place in what libvirt has written down, so that it can still be told by
 * that one's age whether what they keep was written to. On one thread.
 *
 * Each is {snapshot, from, to, base, format, is_new}: the layer `from` goes, and `to`, which stands
 * on the same file `base`, takes its place: what the guest goes on in, if that does, or another
 * checkpoint; else it is new, empty, and nobody's to write to. `format` is that of base.
 */
#pragma once

#include <jansson.h>
#include <libvirt/libvirt.h>

#include "common/error.h"
#include "domain/branch_need.h"

/* For all that is gone in the view. A new layer is <from>-<stamp>: EEXIST where there is such a
 * file. An array, returned owned. */
int branch_relink_plan(const struct branch_view *view, const char *stamp, json_t **ret_relinks,
                       struct error *err);

/* Makes the new layers. To be called again after a failure. */
int branch_relink_make(const json_t *relinks, struct error *err);

/* Has libvirt know of them; a checkpoint that has gone is passed over. To be called again. */
int branch_relink_snapshots(virDomainPtr domain, const json_t *relinks, struct error *err);

/* For its test: the same XML of that snapshot with the layers changed, owned; NULL when it names
 * none that goes. */
int branch_relink_xml(const char *xml, const json_t *relinks, char **ret_xml, struct error *err);
