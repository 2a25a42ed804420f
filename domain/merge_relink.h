/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libvirt has written down of layers that a merge (merge_plan.h) takes out: a disk that is
 * such a layer is its `base` from then on. On one thread.
 */
#pragma once

#include <jansson.h>
#include <libvirt/libvirt.h>

#include "common/error.h"

/* The domain's persistent definition. */
int merge_relink_definition(virDomainPtr domain, const json_t *disks, struct error *err);

/*
 * The definitions in all its snapshots but `except` (NULL: none). Parents, children and which is
 * the current one stay.
 */
int merge_relink_snapshots(virDomainPtr domain, const json_t *disks, const char *except,
                           struct error *err);

/* Has libvirt take that XML of one for the snapshot, the current one if it is that now. */
int merge_relink_redefine(virDomainPtr domain, virDomainSnapshotPtr snapshot, const char *xml,
                          struct error *err);

/*
 * For its test, and for both: the same XML of a domain or snapshot with these disks, owned; NULL
 * when it names no layer that goes.
 */
int merge_relink_xml(const char *xml, const char *root_name, const json_t *disks, char **ret_xml,
                     struct error *err);
