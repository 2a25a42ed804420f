/* SPDX-License-Identifier: Apache-2.0 */
/* Which files `domain flatten` is to bring back. Changes nothing. On one thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "domain/session.h"

/*
 * The merge (merge_plan.h) of all layers above a file: `disks` are "vda=FILE". Without any, of a
 * domain of nova's, of each disk the lowest file in the instance's own folder, which is called by
 * its uuid: what is below is nova's, for many. Disks on which nothing stands are not in it. EINVAL
 * for a file outside of that folder, and for a domain that is not nova's without `disks`.
 * Returned owned.
 */
int flatten_plan(const struct session *session, const char *const *disks, size_t count,
                 json_t **ret_merge, struct error *err);

/*
 * Of a domain of nova's, looked up anew: whether none of its disks in the instance's folder has a
 * layer, and libvirt keeps no checkpoint of it. False also where that cannot be told.
 */
bool flatten_plan_is_whole(struct session *session);
