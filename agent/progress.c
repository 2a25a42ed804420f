/* SPDX-License-Identifier: Apache-2.0 */
/* See progress.h. */
#include "agent/progress.h"

#define MARK_MS 3000 /* between two marks: the rate is that of one to two such times */

void progress_note(struct progress *progress, uint64_t done_bytes, uint64_t total_bytes,
                   uint64_t now_ms)
{
    const struct progress_mark mark = {.ms = now_ms, .bytes = done_bytes};
    if (progress->total_bytes == 0 || done_bytes < progress->done_bytes)
        progress->newer = progress->older = mark;
    progress->done_bytes = done_bytes;
    progress->total_bytes = total_bytes;
    if (now_ms < progress->newer.ms + MARK_MS)
        return;
    progress->older = progress->newer;
    progress->newer = mark;
}

uint64_t progress_bytes_per_s(const struct progress *progress, uint64_t now_ms)
{
    const struct progress_mark *since = &progress->older;
    if (progress->total_bytes == 0 || now_ms <= since->ms)
        return 0;
    return (progress->done_bytes - since->bytes) * 1000 / (now_ms - since->ms);
}

uint64_t progress_left_s(const struct progress *progress, uint64_t now_ms)
{
    uint64_t rate = progress_bytes_per_s(progress, now_ms);
    if (progress->done_bytes >= progress->total_bytes)
        return 0;
    return rate == 0 ? PROGRESS_NEVER_S
                     : (progress->total_bytes - progress->done_bytes + rate - 1) / rate;
}
