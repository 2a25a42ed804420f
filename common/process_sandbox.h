/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a helper may do that reads what tenants have made: a filter of system calls (seccomp(2)),
 * given to the child right before it becomes the helper.
 *
 * It names what is forbidden, and lets the rest through: what qemu-img, glibc and Ceph's libraries
 * need differs from release to release, and a list of it would fail snapshots after an upgrade.
 * What no release of them does kills the helper (SIGSYS): other programs and processes, mounts,
 * namespaces, the kernel's modules, clocks and memory of others. What some try and can do without
 * is refused: sockets, keys, io_uring, which would go around the filter.
 */
#pragma once

#include <linux/filter.h>

enum process_sandbox {
    PROCESS_SANDBOX_NONE,   /* for programs that read nothing of a tenant's */
    PROCESS_SANDBOX_FILES,  /* makes no sockets; it may use those it is given */
    PROCESS_SANDBOX_UNIX,   /* makes none but UNIX ones: it connects to a QEMU */
    PROCESS_SANDBOX_NETWORK /* makes any: it connects to a cluster of Ceph's */
};

/* What is told of a helper that it has killed. */
#define PROCESS_SANDBOX_KILLED                                                                     \
    "killed by the system call filter (the kernel's log has the call, at type=1326)"

/*
 * The filter of a child that is to execute `program`: by this very pointer, which no program that
 * it has become can know. Returns owned: process_sandbox_clear(). Thread-safe.
 *
 * Empty for PROCESS_SANDBOX_NONE, and, which is logged once each, where the kernel has no such
 * filters, where `program` is a script ("#!"), which may start others, and where the filter cannot
 * be made: a snapshot is worth more than its filter.
 */
struct sock_fprog process_sandbox_make(enum process_sandbox sandbox, const char *program);

/*
 * Puts the calling process under it, for ever, with all that it executes (no_new_privs as well).
 * Async-signal-safe. 0 or -errno; an empty filter does nothing.
 */
int process_sandbox_enter(const struct sock_fprog *filter);

void process_sandbox_clear(struct sock_fprog *filter);
