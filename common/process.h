/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helper programs: run without a shell, in a clean environment, with limits, and never left behind.
 *
 * Thread-safe. The child gets a process group of its own, which is killed when the run is given up
 * and when its leader ends; it also dies with the calling thread (PR_SET_PDEATHSIG). The caller
 * must not ignore SIGCHLD.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/process_sandbox.h"

/* At least one of the two times must be given. 0 = no such limit, for every number. */
struct process_options {
    const char *const *argv; /* borrowed, NULL-terminated; argv[0] is looked up in PATH */
    unsigned deadline_ms;    /* for the whole run */
    /* Killed when for so long it has printed, read and written nothing (/proc/PID/io). */
    unsigned stall_timeout_ms;
    unsigned cpu_limit_s;               /* RLIMIT_CPU */
    uint64_t address_space_limit_bytes; /* RLIMIT_AS */
    enum process_sandbox sandbox;       /* what it reads tells which; none unless given */
    size_t output_max_bytes;            /* of stdout; a helper that prints more is killed.
                                           0 = stdout is read and thrown away */
    int *ret_status; /* of a helper that has ended by itself: its exit status. NULL: not asked */
};

/*
 * Runs the helper to its end. ETIMEDOUT for deadline and stall, EMSGSIZE for too much output,
 * ECANCELED for a signal or a non-zero exit status, whose message ends with what the helper said
 * last on stderr, and tells when the filter of system calls has killed it; ENOENT when there is no
 * such program. Exception class InternalError.
 *
 * Ends at once, with the group killed, when the calling thread's work is cancelled
 * (common/cancel.h): ECANCELED with that reason, which cancel_check() tells from a helper that
 * failed.
 *
 * `ret_output` may be NULL; else it returns owned text with a NUL put behind it.
 */
int process_run(const struct process_options *options, char **ret_output, size_t *ret_output_size,
                struct error *err);
