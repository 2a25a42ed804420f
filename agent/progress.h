/* SPDX-License-Identifier: Apache-2.0 */
/* How far a transfer is, how fast it has been of late, and when it will be over. Pure. */
#pragma once

#include <stdint.h>

struct progress {
    uint64_t done_bytes;
    uint64_t total_bytes; /* 0: nothing is known */
    struct progress_mark {
        uint64_t ms; /* of clock_now_ms() */
        uint64_t bytes;
    } newer, older; /* what the rate is reckoned from */
};

/* `done_bytes` of `total_bytes` are through now. What goes back begins anew; the end may move. */
void progress_note(struct progress *progress, uint64_t done_bytes, uint64_t total_bytes,
                   uint64_t now_ms);

/* Of the last seconds. */
uint64_t progress_bytes_per_s(const struct progress *progress, uint64_t now_ms);

#define PROGRESS_NEVER_S UINT64_MAX

/* At this rate; PROGRESS_NEVER_S while nothing goes on. */
uint64_t progress_left_s(const struct progress *progress, uint64_t now_ms);
