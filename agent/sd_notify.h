/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's signs of life for the service manager: its status, and the watchdog's beat as long as
 * the bus thread turns. Main thread only.
 */
#pragma once

#include <stdint.h>

#include "agent/agent.h"

struct sd_notifier {
    struct agent *agent;
    unsigned interval_ms; /* how often to call sd_notify_show(); 0 = nobody looks */
    bool has_watchdog;
    bool is_stuck; /* the bus thread, when last looked at */
    bool is_stopping;
    uint64_t next_ms;
    char status[512]; /* as last told */
};

/* `agent` is borrowed; its bus is there. */
void sd_notify_init(struct sd_notifier *notifier, struct agent *agent);

/* Tells what is to be told; may be called more often than interval_ms. */
void sd_notify_show(struct sd_notifier *notifier);

/* From now on the status says so, and every sd_notify_show() asks for more time. */
void sd_notify_stop(struct sd_notifier *notifier);
