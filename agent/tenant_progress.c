/* SPDX-License-Identifier: Apache-2.0 */
/* See tenant_progress.h. */
#include "agent/tenant_progress.h"

#include "agent/jobs.h"

#define STEP_PERCENT 5
#define STEP_MS 5000

void tenant_progress_begin(struct tenant_progress *progress, struct job *job, int before_percent)
{
    *progress = (struct tenant_progress){.job = job};
    if (before_percent > 0) /* of something else: the beginning has to be told, too */
        progress->told_percent = -STEP_PERCENT;
}

int tenant_progress_next(struct tenant_progress *progress, uint64_t now_ms)
{
    if (!progress->job || (progress->told_ms != 0 && now_ms < progress->told_ms + STEP_MS))
        return -1;
    int percent = (int)jobs_percent(progress->job);
    if (percent < progress->told_percent + STEP_PERCENT)
        return -1;
    progress->told_percent = percent;
    progress->told_ms = now_ms;
    return percent;
}
