/* SPDX-License-Identifier: Apache-2.0 */
/* See copy_progress.h. */
#include "driver/block/copy_progress.h"

#include <errno.h>
#include <inttypes.h>

#include "common/clock.h"

static uint64_t left_bytes(uint64_t copied_bytes, uint64_t end_bytes)
{
    return end_bytes > copied_bytes ? end_bytes - copied_bytes : 0;
}

struct copy_progress copy_progress_begin(void)
{
    return (struct copy_progress){.nearer_at_ms = clock_now_ms()};
}

void copy_progress_again(struct copy_progress *progress)
{
    progress->least_left_bytes = left_bytes(progress->copied_bytes, progress->end_bytes);
    progress->nearer_at_ms = clock_now_ms();
    progress->copied_by_then_bytes = progress->copied_bytes;
    progress->most_left_bytes = progress->least_left_bytes;
}

static bool is_nearer(const struct copy_progress *progress, uint64_t left_bytes)
{
    return left_bytes < progress->least_left_bytes ||
           left_bytes < progress->most_left_bytes - progress->most_left_bytes / 4;
}

bool copy_progress_note(struct copy_progress *progress, uint64_t copied_bytes, uint64_t end_bytes)
{
    const struct copy_progress before = *progress;
    uint64_t was_left = left_bytes(before.copied_bytes, before.end_bytes);
    uint64_t left = left_bytes(copied_bytes, end_bytes);
    progress->copied_bytes = copied_bytes;
    progress->end_bytes = end_bytes;
    if (copied_bytes == 0 || before.copied_bytes == 0) {
        if (copied_bytes != before.copied_bytes || end_bytes != before.end_bytes)
            copy_progress_again(progress);
        return false;
    }
    if (is_nearer(&before, left))
        copy_progress_again(progress);
    else if (left > before.most_left_bytes)
        progress->most_left_bytes = left;
    uint64_t copied = copied_bytes > before.copied_bytes ? copied_bytes - before.copied_bytes : 0;
    uint64_t nearer = was_left > left ? was_left - left : 0;
    return nearer < copied / 2;
}

int copy_progress_check(const struct copy_progress *progress, const char *disk_target,
                        unsigned stall_timeout_s, struct error *err)
{
    if (clock_now_ms() - progress->nearer_at_ms < stall_timeout_s * UINT64_C(1000))
        return 0;
    if (progress->copied_bytes == progress->copied_by_then_bytes)
        return error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR,
                         "the copy of disk %s made no progress for %u s", disk_target,
                         stall_timeout_s);
    return error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR,
                     "the guest writes to disk %s as fast as it can be copied: for %u s never less "
                     "than %" PRIu64 " bytes were left (live_snapshot_method=stream does not have "
                     "to keep up with the guest)",
                     disk_target, stall_timeout_s, progress->least_left_bytes);
}
