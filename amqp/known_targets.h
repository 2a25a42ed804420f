/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchanges, and queues bound to them, that have been made sure of on the present connection.
 * Bus thread only.
 */
#pragma once

#include <stdbool.h>

#include "common/error.h"

/* `queue` NULL = the exchange alone. */
struct known_target {
    struct known_target *next;
    char *exchange;
    char *queue;
};

bool known_targets_have(const struct known_target *targets, const char *exchange,
                        const char *queue);

/* Both are copied. */
int known_targets_add(struct known_target **targets, const char *exchange, const char *queue,
                      struct error *err);

void known_targets_clear(struct known_target **targets);
