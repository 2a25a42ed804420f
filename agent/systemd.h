/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service manager is told (sd_notify(3)); each does nothing when there is none.
 * Thread-safe as long as nobody changes the environment.
 */
#pragma once

#include <stdbool.h>

/* True when there is a service manager that wants to be told. */
bool systemd_listens(void);

/* The unit's WatchdogSec: systemd_alive() must come within it. 0 = there is no watchdog. */
unsigned systemd_watchdog_ms(void);

/* The start, or a reload, is over. */
void systemd_ready(void);

/* A reload begins; with the time, as Type=notify-reload wants it. */
void systemd_reloading(void);

/* The end begins. */
void systemd_stopping(void);

/* One line for "systemctl status". */
void systemd_status(const char *text);

void systemd_alive(void);

/* The present start or stop goes on beyond the unit's own limit, for `ms` more from now. */
void systemd_extend(unsigned ms);
