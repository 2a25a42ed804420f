/* SPDX-License-Identifier: Apache-2.0 */
/* From a fork to the program that the child becomes. For process_child.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/process_sandbox.h"

struct process_start {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
    int listen_fd;           /* -1, or a listening socket: the child's descriptor 3, told of as
                                sd_listen_fds(3) has it */
    bool unattended;         /* what it prints beyond the room of a pipe is lost, it goes on */
    enum process_sandbox sandbox;
    unsigned cpu_limit_s;               /* RLIMIT_CPU, 0 = none */
    uint64_t address_space_limit_bytes; /* RLIMIT_AS, 0 = none */
};

/*
 * Starts it, with what it is to print to, and returns when it has begun, or ENOENT and what else
 * execve() fails with. It is in a process group of its own, in a clean environment and with nothing
 * else open, and dies with the calling thread. To be waited for by the caller.
 */
int process_fork(const struct process_start *start, int stdout_fd, int stderr_fd, pid_t *ret_pid,
                 struct error *err);

/* A pipe whose ends may be given to process_fork(); both are closed at exec. */
int process_fork_pipe(int ret_fds[2], struct error *err);
