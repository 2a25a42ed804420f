/* A counting semaphore that serves in the order of arrival, as eventlet's does. Thread-safe. */
#pragma once

#include "common/error.h"

struct slots;

/* `limit` 0 = unlimited. Returns owned. */
int slots_new(unsigned limit, struct slots **ret_slots, struct error *err);

/* Waits for a slot. There is no deadline: whoever holds one has deadlines of its own. */
void slots_acquire(struct slots *slots);
void slots_release(struct slots *slots);

/* NULL-safe. Nobody may be waiting. */
void slots_free(struct slots *slots);
