/* SPDX-License-Identifier: Apache-2.0 */
/* The worker threads: one for each request that is being served or waits for a slot. Thread-safe.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"

struct workers;

/* `limit` bounds the threads. Returns owned. */
int workers_new(unsigned limit, struct workers **ret_workers, struct error *err);

/* True when workers_start() would be refused after `more` others. */
bool workers_full(struct workers *workers, unsigned more);

unsigned workers_running(struct workers *workers);

/* Runs run(arg) in a thread of its own. EAGAIN when the limit is reached. */
int workers_start(struct workers *workers, void (*run)(void *arg), void *arg, struct error *err);

/* Waits until no worker runs, at most `timeout_ms` (0 = for ever). Returns how many still run. */
unsigned workers_wait(struct workers *workers, unsigned timeout_ms);

/* NULL-safe. No worker may be running. */
void workers_free(struct workers *workers);
