/* SPDX-License-Identifier: Apache-2.0 */
/* Inner to revert.c, revert_external.c, revert_internal.c and revert_internal_check.c. */
#pragma once

#include "domain/revert.h"
#include "domain/revert_point.h"

/* How the guest is to be afterwards: as it was then, or as it is asked for. Static. */
const char *revert_state_of(const struct revert_point *point, const struct revert_request *request);

/* Fills its name, which none has. */
int revert_name_left(const struct session *session, struct revert_report *report,
                     struct error *err);

/* Both leave it to leftover_undo() to end what they have begun. */
int revert_external(struct session *session, const struct revert_point *point,
                    struct revert_report *report, struct error *err);
int revert_internal(struct session *session, const struct revert_point *point,
                    const struct revert_request *request, struct revert_report *report,
                    struct error *err);

/* What keeps the domain from going to an internal one: nothing is touched. */
int revert_internal_check(struct session *session, const struct revert_point *point,
                          struct error *err);

/* Whether the record tells of a way back that the request is to be tried once more for. */
bool revert_internal_is_again(const struct session *session, const struct revert_request *request);
