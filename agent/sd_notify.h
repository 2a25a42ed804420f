/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service manager is told (sd_notify(3)): readiness, the agent's status, and the
 * watchdog's beat as long as the bus thread turns. Everything does nothing when there is none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/agent.h"

/* What is told while the agent lives. Main thread only. */
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

/* The messages one by one. Thread-safe as long as nobody changes the environment. */

/* True when there is a service manager that wants to be told. Public for its test. */
bool sd_notify_listens(void);

/*
 * The unit's WatchdogSec: sd_notify_alive() must come within it. 0 = there is no watchdog. Public
 * for its test.
 */
unsigned sd_notify_watchdog_ms(void);

/* The start, or a reload, is over. */
void sd_notify_ready(void);

/* A reload begins; with the time, as Type=notify-reload wants it. */
void sd_notify_reloading(void);

/* The end begins. Public for its test. */
void sd_notify_stopping(void);

/* The watchdog's beat. Public for its test. */
void sd_notify_alive(void);

/*
 * The present start or stop goes on beyond the unit's own limit, for `ms` more from now. Public for
 * its test.
 */
void sd_notify_extend(unsigned ms);
