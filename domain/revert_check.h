/* SPDX-License-Identifier: Apache-2.0 */
/* That what a checkpoint is kept in is still what it was then, and nobody's to change. On one
 * thread. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "common/error.h"
#include "domain/revert_point.h"
#include "domain/session.h"

/* The files, as they were when they were first looked at. */
struct revert_seen {
    bool is_filled;
    struct stat disks[CHECKPOINT_PLAN_DISKS_MAX];
    struct stat memory;
};

/* EINVAL for a domain of now that cannot go back without a loss, naming what it has. */
int revert_check_domain(const struct session *session, const struct revert_point *point,
                        struct error *err);

/*
 * ESTALE naming a file that has gone, was written to since, is written to, or is not what libvirt's
 * account of the checkpoints says; errors of layer_map_read(). Fills *seen the first time, compares
 * with it afterwards.
 */
int revert_check_files(const struct session *session, const struct revert_point *point,
                       struct revert_seen *seen, struct error *err);
