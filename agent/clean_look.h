/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run of clean.h goes by, and what all its looks ask: who may still be at something.
 * Confined to the run's thread.
 */
#pragma once

#include "agent/agent.h"
#include "agent/clean_list.h"
#include "agent/clean_processes.h"

struct clean_look {
    struct agent *agent;              /* borrowed */
    time_t agent_since;               /* when this agent began */
    struct clean_process other_agent; /* one that should not be: it would have another state_dir */
    struct clean_process nova;
    struct clean_list list;
};

/* EBUSY when the journal knows this name or id: a request that is under way, waits or was set
 * aside. */
int clean_look_check_journal(const struct clean_look *look, const char *text, struct error *err);

/*
 * EBUSY unless it is certain that no nova-compute which runs has done what was done at `time`, by a
 * clock that is `skew_s` seconds wrong at most.
 */
int clean_look_check_nova(const struct clean_look *look, time_t time, unsigned skew_s,
                          struct error *err);

/* What was found out by the latter, as a phrase: "no nova-compute runs", ... */
void clean_look_tell_nova(const struct clean_look *look, char *text, size_t size);

/* "2026-11-28T20:00:00Z" */
struct clean_time {
    char text[24];
};
struct clean_time clean_look_time(time_t time);
