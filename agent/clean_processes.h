/* SPDX-License-Identifier: Apache-2.0 */
/* Since when programs run on this host, as /proc tells. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct clean_process {
    enum { CLEAN_PROCESS_UNKNOWN, CLEAN_PROCESS_NONE, CLEAN_PROCESS_RUNS } state;
    time_t since; /* the oldest one that runs; where none does, now: one may begin */
};

/*
 * nova-compute, and agents but for this one: those that have this folder, `instances_path`, by the
 * same path, for another one on the machine, in a container, is another host's. Unknown where none
 * is seen and processes may be hidden from us: by a PID namespace, by hidepid or the unit's
 * ProtectProc.
 */
struct clean_process clean_processes_nova_compute(const char *instances_path);
struct clean_process clean_processes_other_agent(const char *instances_path);

/* Whether a command line, words that end with a NUL each, is one of nova-compute. Pure; public for
 * its test. */
bool clean_processes_is_nova_compute(const char *line, size_t length);

/* Whether it is certain that no such process which runs can have done this at that time, by a clock
 * that is `skew_s` seconds wrong at most. */
bool clean_processes_is_before(const struct clean_process *process, time_t time, unsigned skew_s);
