/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child process of ours: how it is started, watched and ended. For process.c, which attends one
 * to its end, and process_server.c, which lets it serve; others use those.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/process_fork.h"

struct process_child {
    const char *name; /* argv[0] */
    pid_t pid;
    int ended_fd;             /* readable when the leader has ended; it waits to be reaped */
    int stdout_fd, stderr_fd; /* to be read, non-blocking */
};

/*
 * Starts it in a process group of its own and a clean environment; it dies with the calling thread.
 * ENOENT and what else execve() fails with. To be ended by process_child_end().
 */
int process_child_start(const struct process_start *start, struct process_child *ret_child,
                        struct error *err);

/*
 * Whether its filter of system calls has killed it (common/process_sandbox.h). Waits 100 ms for its
 * end, which comes after that of its connections.
 */
bool process_child_broke_filter(const struct process_child *child);

/*
 * Ends the whole group and reaps the leader, within 5 s. False when it would not die: there is no
 * status then. `ret_status` may be NULL. Closes all.
 */
bool process_child_end(struct process_child *child, int *ret_status);

/* The last of what was printed. */
struct process_tail {
    char text[601];
    size_t size;
};

void process_tail_keep(struct process_tail *tail, const char *data, size_t size);

/* As one line for a message; it stays the tail's. */
const char *process_tail_line(struct process_tail *tail);
