/* SPDX-License-Identifier: Apache-2.0 */
/* A limit on bytes per second that threads share. Thread-safe. */
#pragma once

#include <stdint.h>

#include "common/error.h"

struct throttle;

/* 0: no limit. Returns owned. */
int throttle_new(uint64_t bytes_per_s, struct throttle **ret_throttle, struct error *err);

/* NULL-safe. */
void throttle_free(struct throttle *throttle);

/* From now on; what waits already waits as long as it would have. */
void throttle_set(struct throttle *throttle, uint64_t bytes_per_s);

/* What it is now. */
uint64_t throttle_rate(struct throttle *throttle);

/*
 * Lets `bytes` pass: at once when the limit has not been used up to now, else after as long as what
 * went before takes. NULL lets everything pass. ECANCELED.
 */
int throttle_take(struct throttle *throttle, uint64_t bytes, struct error *err);
