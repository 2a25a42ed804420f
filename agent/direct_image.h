/* SPDX-License-Identifier: Apache-2.0 */
/* The image of a root disk in Ceph that stays in the cluster: nothing is copied through the host.
 */
#pragma once

#include "agent/operation.h"

/*
 * Tries it. 0 with *ret_made false when the data has to be extracted instead (Glance keeps its
 * images elsewhere, or permissions are missing): nothing is left of the attempt and the task state
 * is image_pending_upload, as before. Source: nova.virt.libvirt.driver:snapshot, direct_snapshot.
 */
int direct_image_make(struct operation *op, bool *ret_made, struct error *err);
