/* SPDX-License-Identifier: Apache-2.0 */
/* What a command is given of the command line, and what it ends with. */
#pragma once

#include <stdbool.h>

/* Documented in the man page. */
enum invocation_exit {
    INVOCATION_DONE = 0,
    INVOCATION_FAILED = 1,      /* it was refused, failed, or did not end in time */
    INVOCATION_USAGE = 2,       /* the command line makes no sense */
    INVOCATION_UNREACHABLE = 3, /* no agent answers, or no libvirtd */
    INVOCATION_NO_JOB = 4,      /* it has ended, or there never was one; nor such a domain */
    INVOCATION_NOT_WELL = 5,    /* something that was looked at fails: FINDINGS_EXIT_FAIL */
};

/* In the order of command_options[]. */
enum invocation_option {
    INVOCATION_JSON,
    INVOCATION_SOCKET,
    INVOCATION_DISK,
    INVOCATION_DISK_HOST,
    INVOCATION_UPLOAD,
    INVOCATION_UPLOAD_HOST,
    INVOCATION_MODULES,
    INVOCATION_INTERVAL,
    INVOCATION_WAIT,
    INVOCATION_YES,
    INVOCATION_OUTPUT,
    INVOCATION_DOMAIN_DISK,
    INVOCATION_ALL_DISKS,
    INVOCATION_FORMAT,
    INVOCATION_COMPRESS,
    INVOCATION_METHOD,
    INVOCATION_QUIESCE,
    INVOCATION_CHECKPOINT,
    INVOCATION_SINCE,
    INVOCATION_CHAIN_VERIFY,
    INVOCATION_TREE,
    INVOCATION_ALL,
    INVOCATION_RUNNING,
    INVOCATION_PAUSED,
    INVOCATION_MANAGED,
    INVOCATION_VERIFY_DISKS,
    INVOCATION_FORCE_RESTORE,
    INVOCATION_FORCE_REVERT,
    INVOCATION_DISCARD,
    INVOCATION_FORCE_CHECKPOINT,
    INVOCATION_FORCE_DELETE,
    INVOCATION_CONNECT,
    INVOCATION_STATE_DIR,
    INVOCATION_NAME,
    INVOCATION_DISK_ONLY,
    INVOCATION_MEMORY,
    INVOCATION_INTERNAL,
    INVOCATION_LIVE,
    INVOCATION_HALT,
    INVOCATION_DISK_FILE,
    INVOCATION_MEMORY_FILE,
    INVOCATION_CHILDREN,
    INVOCATION_MERGED_FILE,
    INVOCATION_OPTIONS
};

#define INVOCATION_DISKS_MAX 32

/* Strings are those of argv. */
struct invocation {
    const char *argument;                    /* NULL: none */
    const char *second;                      /* NULL: the command has but one */
    const char *values[INVOCATION_OPTIONS];  /* NULL: not given; "" where it has none */
    const char *disks[INVOCATION_DISKS_MAX]; /* of every --disk, in their order */
    unsigned disk_count;
};
