/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child process of ours: how it is started, watched and ended. For process.c, which attends one
 * to its end, and process_server.c, which lets it serve; others use those.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

struct process_start {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
    int listen_fd;           /* -1, or a listening socket: the child's descriptor 3, told of as
                                sd_listen_fds(3) has it */
    bool unattended;         /* what it prints beyond the room of a pipe is lost, it goes on */
    unsigned cpu_limit_s;    /* RLIMIT_CPU, 0 = none */
    uint64_t address_space_limit_bytes; /* RLIMIT_AS, 0 = none */
};

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
