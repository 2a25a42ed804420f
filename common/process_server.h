/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A helper program that serves a socket beside us, as systemd would start it (sd_listen_fds(3)):
 * without a shell, in a clean environment, and never left behind. It also dies with the thread that
 * has started it (PR_SET_PDEATHSIG). One object per server, not shared between threads.
 */
#pragma once

#include "common/error.h"
#include "common/process_sandbox.h"

struct process_server;

/*
 * Starts it with the listening socket, which is borrowed for the time of the call. `argv` is
 * borrowed for the time of the call, argv[0] for the life of the server; NULL-terminated, argv[0]
 * is looked up in PATH. Fails with what execve() fails with. Returns owned.
 */
int process_server_start(const char *const *argv, int listen_fd, enum process_sandbox sandbox,
                         struct process_server **ret_server, struct error *err);

/*
 * Puts " (<program>: <what it said last>)" behind a message about it, or that the filter of system
 * calls has killed it. Returns -err->errnum.
 */
int process_server_blame(struct process_server *server, struct error *err);

/* Kills it and waits until it has ended, at most 5 s. NULL-safe. */
void process_server_end(struct process_server *server);
