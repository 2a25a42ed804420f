/* SPDX-License-Identifier: Apache-2.0 */
/* See merge_job.h. */
#include "driver/volume/merge_job.h"

#include <errno.h>

#include "common/cancel.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/libvirt/connection.h"
#include "driver/volume/layer_merge.h"
#include "driver/volume/volume.h"

#define STALL_CHECKS 4
#define END_TIMEOUT_MS 30000

enum merge_outcome {
    GOING_ON,
    HEARD_OF, /* an event, or the guest has ended */
    VANISHED,
    STALLED,
    UNWANTED, /* cancelled */
};

static int merge_watch(struct merge_job *merge, struct error *err)
{
    merge->news = (struct domain_news)DOMAIN_NEWS_INIT;
    return libvirt_connection_watch(merge->connection, merge->uuid, merge->disk->target, 0,
                                    &merge->watch, err);
}

static bool merge_connection_is_lost(const struct merge_job *merge)
{
    return merge->news.disconnected || libvirt_connection_is_lost(merge->connection, merge->domain);
}

/* libvirtd was restarted. What it told meanwhile is lost, so that the job is looked for next. */
static int merge_rejoin(struct merge_job *merge, struct error *err)
{
    log_debug("connection to libvirt lost, looking for the merge on disk %s again",
              merge->disk->target);
    domain_watch_free(merge->watch);
    merge->watch = NULL;
    cleanup_free_domain(&merge->domain);
    merge->domain = NULL;
    int r = libvirt_volume_find_domain(merge->connection, merge->uuid, LIBVIRT_PATIENCE_MS,
                                       &merge->domain, err);
    return r < 0 ? r : merge_watch(merge, err);
}

/* Whether our job is on the disk. */
static int merge_find_job(const struct merge_job *merge, virDomainBlockJobInfo *ret_job,
                          bool *ret_there, struct error *err)
{
    return layer_merge_find(merge->domain, merge->disk->target, merge->plan, ret_job, ret_there,
                            err);
}

static bool merge_has_ended(const struct merge_job *merge)
{
    const struct domain_news *news = &merge->news;
    return news->stopped ||
           (news->block_job_status >= 0 && news->block_job_status != VIR_DOMAIN_BLOCK_JOB_READY);
}

/* What is seen without news. The event of a job that is no longer there may still be under way. */
static int merge_look(struct merge_job *merge, virDomainBlockJobInfo *seen, unsigned *idle,
                      unsigned *missing, struct error *err)
{
    virDomainBlockJobInfo job;
    bool there = false;
    int r = merge_find_job(merge, &job, &there, err);
    if (r < 0)
        return r;
    *missing = there ? 0 : *missing + 1;
    *idle = job.cur == seen->cur && job.end == seen->end ? *idle + 1 : 0;
    *seen = job;
    log_debug("merge on disk %s: %llu of %llu bytes%s", merge->disk->target, job.cur, job.end,
              there ? "" : ", no job is there");
    return 0;
}

/* Waits until the job is over, one way or the other, or nothing moves. */
static int merge_follow(struct merge_job *merge, enum merge_outcome *ret_outcome, struct error *err)
{
    virDomainBlockJobInfo seen = {0};
    unsigned idle = 0, missing = 0;
    while (idle < STALL_CHECKS && missing < 2) {
        struct error failure = ERROR_INIT;
        bool lost = merge_connection_is_lost(merge);
        int r = lost ? merge_rejoin(merge, err) : 0;
        if (r < 0)
            return r;
        /* After a restart what is there is looked at at once. */
        bool heard = !lost && domain_watch_wait(merge->watch,
                                                seconds_ms(merge->stall_timeout_s) / STALL_CHECKS,
                                                &merge->news);
        if (merge_has_ended(merge)) {
            log_debug("merge on disk %s is over: block job status %d%s", merge->disk->target,
                      merge->news.block_job_status, merge->news.stopped ? ", guest ended" : "");
            *ret_outcome = HEARD_OF;
            return 0;
        }
        if (cancel_check(&failure) < 0) {
            *ret_outcome = UNWANTED;
            return 0;
        }
        r = heard ? 0 : merge_look(merge, &seen, &idle, &missing, &failure);
        if (r < 0 && !merge_connection_is_lost(merge)) {
            *err = failure;
            return r;
        }
        idle += r < 0;
    }
    *ret_outcome = missing < 2 ? STALLED : VANISHED;
    return 0;
}

/* QEMU may not get out of the I/O it hangs in: that is not waited for without end. */
static void merge_abort(struct merge_job *merge)
{
    virDomainBlockJobInfo job;
    struct error ignored = ERROR_INIT;
    bool there = false;
    CANCEL_SHIELD();
    if (merge_find_job(merge, &job, &there, &ignored) < 0 || !there ||
        virDomainBlockJobAbort(merge->domain, merge->disk->target,
                               VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC) < 0)
        return;
    while (!merge_has_ended(merge) && !merge->news.disconnected)
        if (!domain_watch_wait(merge->watch, END_TIMEOUT_MS, &merge->news))
            return;
}

/* Whether the layers are gone, and if not, whether the job is still at it. */
static int merge_read_outcome(const struct merge_job *merge, bool *ret_merged, bool *ret_there,
                              struct error *err)
{
    cleanup_volume_disk struct volume_disk *now = NULL;
    virDomainBlockJobInfo job;
    bool active = false;
    int r = libvirt_volume_read(merge->domain, merge->volume_id, &active, &now, err);
    if (r < 0)
        return r;
    *ret_merged = volume_chain_is_merged(merge->disk, merge->plan, now);
    *ret_there = false;
    return active && !*ret_merged ? merge_find_job(merge, &job, ret_there, err) : 0;
}

static int merge_explain(const struct merge_job *merge, enum merge_outcome outcome, bool there,
                         struct error *err)
{
    const char *target = merge->disk->target;
    if (outcome == UNWANTED && cancel_check(err) < 0)
        return -ECANCELED;
    if (outcome == STALLED)
        return error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR,
                         "the merge on disk %s made no progress for %u s%s", target,
                         merge->stall_timeout_s, there ? " and did not let itself be ended" : "");
    if (outcome == VANISHED)
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "the merge on disk %s has vanished", target);
    if (merge->news.block_job_status == VIR_DOMAIN_BLOCK_JOB_COMPLETED)
        return error_set(err, EIO, EXC_INTERNAL_ERROR,
                         "libvirt reported success, but disk %s does not have the layers it should",
                         target);
    if (merge->news.stopped)
        return error_set(err, ENOENT, EXC_INSTANCE_NOT_RUNNING,
                         "Instance %s ended while layers of disk %s were merged", merge->uuid,
                         target);
    return error_set(err, EIO, EXC_INTERNAL_ERROR,
                     "the merge on disk %s ended before it was complete (block job status %d)",
                     target, merge->news.block_job_status);
}

static int merge_judge(struct merge_job *merge, enum merge_outcome outcome, struct error *err)
{
    struct error failure = ERROR_INIT;
    bool merged = false, there = false;
    int r = merge_read_outcome(merge, &merged, &there, &failure);
    if (r < 0 && merge_connection_is_lost(merge)) {
        failure = (struct error)ERROR_INIT;
        r = merge_rejoin(merge, &failure);
        if (r == 0)
            r = merge_read_outcome(merge, &merged, &there, &failure);
    }
    if (r == 0 && merged)
        return 0;
    (void)merge_explain(merge, outcome, there, err);
    if (r < 0)
        error_join(err, &failure);
    return -err->errnum;
}

/* A job that had ended before the watch began is not heard of any more. */
static int merge_start_or_join(struct merge_job *merge, enum merge_outcome *ret_outcome,
                               struct error *err)
{
    virDomainBlockJobInfo job;
    bool there = false;
    if (!merge->join) {
        int r = layer_merge_start(merge->domain, merge->disk, merge->plan, err);
        failpoint("volume:merge-started");
        return r;
    }
    int r = merge_find_job(merge, &job, &there, err);
    if (r == 0 && !there)
        *ret_outcome = VANISHED;
    return r;
}

int merge_job_run(struct merge_job *merge, struct error *err)
{
    struct error failure = ERROR_INIT;
    enum merge_outcome outcome = GOING_ON;
    int r = merge_watch(merge, err);
    if (r < 0)
        return r;
    r = merge_start_or_join(merge, &outcome, &failure);
    if (r < 0 && !merge_connection_is_lost(merge)) {
        *err = failure;
        return r;
    }
    if (outcome == GOING_ON) /* also when the answer was lost: the job may be there */
        r = merge_follow(merge, &outcome, err);
    if (r < 0)
        return r;
    if (outcome == STALLED || outcome == UNWANTED) {
        log_debug("aborting the merge on disk %s: %s", merge->disk->target,
                  outcome == STALLED ? "it makes no progress" : "it is cancelled");
        merge_abort(merge);
    }
    r = merge_judge(merge, outcome, err);
    if (r < 0 && failure.errnum != 0)
        error_join(err, &failure);
    return r;
}

void merge_job_done(struct merge_job *merge)
{
    domain_watch_free(merge->watch);
    merge->watch = NULL;
    cleanup_free_domain(&merge->domain);
    merge->domain = NULL;
}
