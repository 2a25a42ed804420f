/* SPDX-License-Identifier: Apache-2.0 */
/* Since when a nova-compute runs on this host, as /proc tells. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct clean_nova {
    enum { CLEAN_NOVA_UNKNOWN, CLEAN_NOVA_NONE, CLEAN_NOVA_RUNS } state;
    time_t since; /* the oldest process of one that runs */
};

/*
 * What is seen of those that have this folder, `instances_path`, by the same path: another one on
 * the machine, in a container, is another host's. Unknown where none is seen and processes may be
 * hidden from us: by a PID namespace, by hidepid or the unit's ProtectProc.
 */
struct clean_nova clean_processes_nova_compute(const char *instances_path);

/* Whether a command line, words that end with a NUL each, is one of nova-compute. Pure; public for
 * its test. */
bool clean_processes_is_nova_compute(const char *line, size_t length);

/* Whether it is certain that no nova-compute which runs can have done this at that time, by a clock
 * that is `skew_s` seconds wrong at most. */
bool clean_processes_is_before(const struct clean_nova *nova, time_t time, unsigned skew_s);
