/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What SIGUSR2 writes into the log, as nova's services do (oslo.reports, the "guru meditation
 * report"): versions, what the agent is attached to, whether the host can take snapshots, slots,
 * and what each worker is at. It waits for nobody but for locks that are held for an instant.
 */
#pragma once

#include <stdio.h>

struct agent;

/* Writes the report, a fact a line. Any thread. Public for its test. */
void status_report_write(const struct agent *agent, FILE *out);

/* The same into the log, at level info. */
void status_report_log(const struct agent *agent);
