/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder that a snapshot has worked in, below snapshots_directory: what it holds, whether anybody
 * has that open, its removal. Never follows a link out of it. Any thread.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "common/error.h"

/*
 * Whether a snapshot gives its folder such a name: nova-compute (tempfile.mkdtemp(), of
 * nova.utils.tempdir) or an agent (*ret_own).
 */
bool clean_folder_is_named(const char *name, bool *ret_own);

struct clean_folder {
    time_t made; /* where the file system does not tell: when its entries last changed */
    uint64_t bytes;
    uid_t user; /* whose it is */
};

/* Reads it. EEXIST naming what it holds that no snapshot makes. */
int clean_folder_read(int parent_fd, const char *name, struct clean_folder *ret_folder,
                      struct error *err);

/*
 * Whether no process, in whatever container, has one of its files open: EBUSY naming the file.
 * `is_left_out` (with `arg`) may leave out files of which that is known. EACCES when it cannot be
 * known of a file that is another user's. The kernel is asked for a lease for an instant
 * (fcntl(2), F_SETLEASE), which it gives to nobody but the only one that has the file open.
 */
int clean_folder_check_closed(int parent_fd, const char *name,
                              bool (*is_left_out)(void *arg, const char *file), void *arg,
                              struct error *err);

/* Removes what clean_folder_read() takes for a snapshot's, and the folder. */
int clean_folder_remove(int parent_fd, const char *name, struct error *err);
