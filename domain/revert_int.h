/* SPDX-License-Identifier: Apache-2.0 */
/* Inner to revert.c, revert_external.c, revert_internal.c and revert_settle.c. */
#pragma once

#include "domain/revert.h"
#include "domain/revert_point.h"

/* How the guest is to be afterwards: as it was then, or as it is asked for. Static. */
const char *revert_state_of(const struct revert_point *point, const struct revert_request *request);

/* Both leave it to leftover_undo() to end what they have begun. */
int revert_external(struct session *session, const struct revert_point *point,
                    struct revert_report *report, struct error *err);
int revert_internal(struct session *session, const struct revert_point *point,
                    const struct revert_request *request, const struct revert_report *report,
                    struct error *err);

/*
 * Behind revert_internal(), when libvirt does nothing any more: EBUSY while the disks may be of
 * different times, as libvirt has not told how far it came, and no guest shows it.
 */
int revert_internal_settle(struct session *session, struct error *err);

/* Whether the record tells of a way back that the request is to be tried once more for. */
bool revert_internal_is_again(const struct session *session, const struct revert_request *request);
