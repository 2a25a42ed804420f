/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's signs of life for the service manager: its status, and the watchdog's beat as long as
 * the bus thread turns. Main thread only.
 */
#pragma once

#include <stdint.h>

#include "agent/agent.h"

struct vitals {
    struct agent *agent;
    unsigned interval_ms; /* how often to call vitals_show(); 0 = nobody looks */
    bool has_watchdog;
    bool is_stuck; /* the bus thread, when last looked at */
    bool is_stopping;
    uint64_t next_ms;
    char status[512]; /* as last told */
};

/* `agent` is borrowed; its bus is there. */
void vitals_init(struct vitals *vitals, struct agent *agent);

/* Tells what is to be told; may be called more often than interval_ms. */
void vitals_show(struct vitals *vitals);

/* From now on the status says so, and every vitals_show() asks for more time. */
void vitals_stop(struct vitals *vitals);
