/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command `domain revert`: a domain is taken back to one of its checkpoints. On one thread.
 *
 * What is now becomes a checkpoint of its own first, of the kind that is gone back to. To an
 * external one the disks go on in new layers on the files that keep it; to an internal one by
 * libvirt (virDomainRevertToSnapshot).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/checkpoint_list.h"
#include "domain/session.h"

/* Strings are borrowed. */
struct revert_request {
    const char *name;
    bool running; /* the guest runs afterwards, however it was then */
    bool paused;
    bool force; /* what is now may be lost in a file it was saved to, or of a way to an internal one
                   that is tried again; of nova's guests, what nova knows of their disks */
    bool discard; /* what is now is not kept, to an internal one; to an external one
                     revert_discard() is to follow: refused where it could not */
};

struct revert_report {
    char left[CHECKPOINT_NAME_SIZE]; /* the checkpoint of what was left behind; "": not kept */
    const char *state;               /* static: "running", "paused", "shut off" */
};

/*
 * All of it is done when it returns 0. When it does not, the domain is as it was, unless the
 * message says otherwise; a checkpoint of now may have been made, which is told in the log. First
 * what an earlier command has left is undone; a way to an internal one that is not known to have
 * come to its end is gone once more, with `force`, or back to what was left behind then; EBUSY for
 * any other. ENOENT when there is no
 * such checkpoint; errors as revert_point.h, revert_check.h, checkpoint_check() and libvirt.
 */
int revert_run(struct session *session, const struct revert_request *request,
               struct revert_report *ret_report, struct error *err);

/*
 * Behind revert_run(): what was left behind is not kept, if anything was. *ret_done as
 * checkpoint_delete(), whose errors it has; after a failure the checkpoint is there, unless the
 * message says that the next command goes on.
 */
int revert_discard(struct session *session, const struct revert_report *report, json_t **ret_done,
                   struct error *err);
