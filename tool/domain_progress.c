/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_progress.h. */
#include "tool/domain_progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "tool/bar.h"
#include "tool/terminal.h"
#include "tool/units.h"

#define SHOW_MS 200

void domain_progress_begin(struct domain_progress *progress)
{
    *progress = (struct domain_progress){.is_terminal = terminal_look(STDERR_FILENO).goes_back};
}

static void write_bar(const struct domain_progress *progress, uint64_t done, uint64_t total)
{
    static const char *const names[] = {[IMAGE_PHASE_COPY] = "copying",
                                        [IMAGE_PHASE_WRITE] = "writing",
                                        [IMAGE_PHASE_VERIFY] = "verifying"};
    char before[64], behind[128];
    uint64_t ms = progress->shown_ms - progress->since_ms;
    uint64_t rate = ms > 0 ? done * 1000 / ms : 0;
    double left_s = rate > 0 && total > done ? (double)(total - done) / (double)rate : -1;
    unsigned percent =
        total > 0 && done < total ? (unsigned)((double)done * 100 / (double)total) : 100;
    (void)snprintf(before, sizeof(before), "%.16s %s", progress->target, names[progress->phase]);
    (void)snprintf(behind, sizeof(behind), "%3u %%  %s  %s  %s left", percent,
                   units_bytes(done).text, units_rate(rate).text, units_time(left_s).text);
    (void)fputs("\r\033[K", stderr);
    bar_write(&(const struct bar){before, behind, percent}, terminal_look(STDERR_FILENO).columns,
              stderr);
    (void)fflush(stderr);
}

void domain_progress_show(void *arg, enum image_phase phase, const char *target,
                          uint64_t done_bytes, uint64_t total_bytes)
{
    struct domain_progress *progress = arg;
    uint64_t now_ms = clock_now_ms();
    if (!progress->is_terminal)
        return;
    if (progress->since_ms == 0 || phase != progress->phase ||
        strcmp(target, progress->target) != 0) {
        progress->since_ms = now_ms;
        progress->phase = phase;
        (void)snprintf(progress->target, sizeof(progress->target), "%s", target);
    } else if (now_ms < progress->shown_ms + SHOW_MS && done_bytes < total_bytes) {
        return;
    }
    progress->shown_ms = now_ms;
    write_bar(progress, done_bytes, total_bytes);
}

void domain_progress_end(struct domain_progress *progress)
{
    if (progress->shown_ms > 0)
        (void)fputs("\r\033[K", stderr);
}
