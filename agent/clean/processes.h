/* SPDX-License-Identifier: Apache-2.0 */
/* Since when nova-compute runs on this host, as /proc tells. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* How a command line looks, words that end with a NUL each. */
enum clean_process_kind {
    CLEAN_PROCESS_OTHER,
    CLEAN_PROCESS_NAMED, /* it names nova-compute, and may be one for all that is known */
    CLEAN_PROCESS_IS     /* it is one: its first word, or the program of an interpreter */
};

struct clean_process {
    bool seen;         /* one that is, and works in the folder; else nothing can be said of it */
    pid_t pid;         /* of the oldest that may be one, as what follows */
    time_t since;      /* by the clock of files as it is set now */
    uint64_t since_ms; /* the same, of clock_now_ms() */
};

/*
 * Is seen only where all processes of the machine are: not in a PID namespace, behind hidepid or
 * the unit's ProtectProc, where an older one may be hidden behind the one that is seen.
 */
struct clean_process clean_processes_nova_compute(const char *instances_path);

/* Pure; public for its test. */
enum clean_process_kind clean_processes_kind(const char *line, size_t length);
