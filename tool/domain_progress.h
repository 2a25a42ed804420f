/* SPDX-License-Identifier: Apache-2.0 */
/* How far an image of a domain is: a bar on stderr, where that is a terminal. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "domain/image_file.h"

struct domain_progress {
    bool is_terminal;
    uint64_t shown_ms; /* when it was shown last; 0: not yet */
    uint64_t since_ms; /* since when it is in the phase */
    enum image_phase phase;
    char target[DRIVER_FORMAT_MAX];
};

void domain_progress_begin(struct domain_progress *progress);

/* An image_observer's function; `arg` is a struct domain_progress. */
void domain_progress_show(void *arg, enum image_phase phase, const char *target,
                          uint64_t done_bytes, uint64_t total_bytes);

/* The bar goes. */
void domain_progress_end(struct domain_progress *progress);
