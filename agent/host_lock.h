/* SPDX-License-Identifier: Apache-2.0 */
/* One agent per host name: two would hand each other the requests they do not serve. */
#pragma once

#include "common/error.h"

/*
 * Takes the lock <state_dir>/<host>.lock, making the folder when missing; errors as
 * private_file_open_folder(). EBUSY with the other agent's pid in the message when it is taken.
 * Returns the descriptor to keep open; the lock ends with the process.
 */
int host_lock_take(const char *state_dir, const char *host, int *ret_fd, struct error *err);
