/* SPDX-License-Identifier: Apache-2.0 */
/* A UNIX socket that only our own user may connect to. */
#pragma once

#include "common/error.h"

/*
 * Takes the place of a socket that a process has left that died. EADDRINUSE when somebody listens
 * there, EEXIST when it is no socket. Whoever accepts closes it, and removes the file before.
 */
int listener_open(const char *path, int *ret_fd, struct error *err);
