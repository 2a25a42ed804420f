/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A domain is brought to a place, as revert_settle.h has it in its notes: each step may have been
 * done before. On one thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/session.h"

/* Its definition, also of a guest that runs: for its next start. */
int revert_enter_define(struct session *session, const json_t *place, struct error *err);

/* Its current checkpoint; one that has been deleted since is told of. */
int revert_enter_make_current(const struct session *session, const json_t *place,
                              struct error *err);

/*
 * Then its guest in the place's state, paused until libvirt tells that its disks are the right
 * ones. After a failure it does not run, unless somebody else has started it.
 */
int revert_enter_start(struct session *session, const json_t *place, struct error *err);

/* Whether a definition has the place's disks; that of a guest that runs, on what they stood on. */
bool revert_enter_is_at(const char *xml, const json_t *place, bool is_active);

/* What is left of it: the guest runs on, if it is to. */
int revert_enter_let_run(const struct session *session, const json_t *place, struct error *err);

/* The guest is ended, with all that is in its memory. */
int revert_enter_stop(struct session *session, struct error *err);
