/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a domain is that goes from one place to another (REVERT_FROM, REVERT_TO of revert_notes.h):
 * nobody is kept from starting its guest meanwhile. On one thread.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "domain/revert_layers.h"
#include "domain/session.h"

struct revert_where {
    bool is_active;
    bool is_persistent;
    const char *runs; /* the place of its guest; NULL: at neither, or it does not run */
    bool is_on_base;  /* its layers stand on what they stood on */
    const char *next; /* that of its next start; NULL: at neither */
    enum revert_layers to, from;
};

/* Looks the domain up again; 0 with session->domain NULL when it has gone. */
int revert_where_look(struct session *session, struct revert_where *ret_where, struct error *err);

/* Whether it may go to either place: nothing was written, and all is as this left it. */
bool revert_where_is_open(const struct revert_where *where);

/*
 * Behind the definition for the place of `note`: EBUSY when its guest was started just before that,
 * and runs or wrote elsewhere, or has written since, or when libvirt keeps a memory of it. ENOENT
 * when the domain has gone. *ret_active: somebody has started it behind that, and it runs there.
 */
int revert_where_check(struct session *session, const char *note, bool *ret_active,
                       struct error *err);

/*
 * The next start is at the place of `note`, and so is the current checkpoint, each only where it is
 * the other place's: whatever else they are is somebody's wish.
 */
int revert_where_define(struct session *session, const struct revert_where *where, const char *note,
                        struct error *err);

/*
 * One that is not open: a memory of then does not fit any more, and going anywhere would lose what
 * was written. Notes where it is, with a warning; its next start is where it runs, or where it has
 * written. EBUSY while that is changed by others, or is for a person to decide.
 */
int revert_where_end(struct session *session, const struct revert_where *where, struct error *err);

/* Of a guest that runs at REVERT_TO: that it was started, and not woken of its memory. */
void revert_where_warn_of_boot(const struct session *session, const char *note);
