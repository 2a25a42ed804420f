/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run of run.h goes by, and what all its looks ask: who may still be at something.
 * Confined to the run's thread.
 */
#pragma once

#include "agent/agent.h"
#include "agent/clean/list.h"
#include "agent/clean/processes.h"
#include "agent/instance_queue.h"

/* The clock of files at some moment, beside one that is never set. */
struct clean_clock {
    time_t files;
    uint64_t now_ms; /* of clock_now_ms() */
};
struct clean_clock clean_look_clock(void);

struct clean_look {
    struct agent *agent;      /* borrowed */
    struct clean_clock begun; /* when this agent began */
    struct clean_process nova;
    struct clean_list list;
};

/* EBUSY when the journal knows this name or id: a request that is under way, waits or was set
 * aside. */
int clean_look_check_journal(const struct clean_look *look, const char *text, struct error *err);

/* EBUSY while a request on the server is under way, whatever the journal knows. Returns owned. */
int clean_look_take_turn(const struct clean_look *look, const char *instance_uuid,
                         struct instance_turn **ret_turn, struct error *err);

/*
 * EBUSY unless it is certain that no nova-compute of this host which runs has made a file that
 * dates from `made`: it began later, and while this agent ran, which would have seen the clock set.
 */
int clean_look_check_nova(const struct clean_look *look, time_t made, struct error *err);

/* "2026-11-28T20:00:00Z" */
struct clean_time {
    char text[24];
};
struct clean_time clean_look_time(time_t time);
