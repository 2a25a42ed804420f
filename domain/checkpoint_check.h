/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps libvirt from making a checkpoint, found before anything is touched. On one thread. */
#pragma once

#include "common/error.h"
#include "domain/checkpoint_plan.h"
#include "domain/session.h"

/*
 * EBUSY for a job under way or a guest that somebody has frozen, ENOSPC when the memory might not
 * fit, EINVAL naming the device or the state for all else.
 */
int checkpoint_check(const struct session *session, const struct checkpoint_plan *plan,
                     const struct checkpoint_request *request, struct error *err);

/* EINVAL naming a part of the guest that keeps `domain revert` from ever going back to it, or its
 * layers from ever being merged. */
int checkpoint_check_ends(const struct checkpoint_plan *plan, struct error *err);

/* Of those what keeps libvirt from any work on the disks: a job, a memory that it keeps. */
int checkpoint_check_idle(const struct session *session, const struct checkpoint_plan *plan,
                          struct error *err);

/* For its test: what the definition has that a checkpoint of this kind cannot be made with. */
int checkpoint_check_devices(const char *domain_xml, bool is_internal, bool has_memory,
                             struct error *err);

/* The same: a disk of the plan that the next start, which has this definition, does not have there.
 */
int checkpoint_check_next_start(const char *domain_xml, const struct checkpoint_plan *plan,
                                struct error *err);
