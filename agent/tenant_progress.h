/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a tenant is to be told how far a snapshot is: each 5 % and every 5 s at most, and never
 * backwards. Confined to one thread.
 */
#pragma once

#include <stdint.h>

struct job;

struct tenant_progress {
    struct job *job; /* borrowed; NULL: nothing is told */
    int told_percent;
    uint64_t told_ms; /* of clock_now_ms() */
};

/* `before_percent` is what the server shows now, of whatever was before; -1: nothing. */
void tenant_progress_begin(struct tenant_progress *progress, struct job *job, int before_percent);

/* What is to be told now, and counts as told; -1: nothing. */
int tenant_progress_next(struct tenant_progress *progress, uint64_t now_ms);
