/* SPDX-License-Identifier: Apache-2.0 */
/* See managed_save.h. */
#include "driver/libvirt/managed_save.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain_job.h"

#define STALL_CHECKS 4
#define TELL_CHECKS 150 /* instead, when somebody wants to know how far it is */
#define ABORT_AGAIN_MS 200
#define AWAIT_STEP_MS 100
#define ABORT_TIMEOUT_MS 30000

/* A second thread watches over libvirt's call, which blocks until all is written. */
struct save_watch {
    virDomainPtr domain;
    const struct managed_save_target *target;
    unsigned checks; /* so many without progress are a stall */
    unsigned check_ms;
    uint64_t asked_ms;     /* since when the call is made */
    int ended_fd;          /* eventfd: the call has returned */
    struct cancel *cancel; /* of the thread that makes it */
    bool stalled;          /* read when the thread has ended */
};

enum { NOTHING, ENDED, CANCELLED }; /* what wait_for_end() has heard */

static int wait_for_end(const struct save_watch *watch, unsigned timeout_ms)
{
    struct pollfd fds[] = {{.fd = watch->ended_fd, .events = POLLIN},
                           {.fd = cancel_fd(), .events = POLLIN}};
    if (poll(fds, ARRAY_SIZE(fds), (int)timeout_ms) <= 0)
        return NOTHING;
    return fds[0].revents != 0 ? ENDED : CANCELLED;
}

/* A save that is only about to begin cannot be aborted yet. */
static void abort_save(const struct save_watch *watch)
{
    CANCEL_SHIELD();
    do
        domain_job_abort(watch->domain, VIR_DOMAIN_JOB_OPERATION_SAVE, watch->asked_ms);
    while (wait_for_end(watch, ABORT_AGAIN_MS) != ENDED);
}

static void *watch_save(void *arg)
{
    struct save_watch *watch = arg;
    virDomainJobInfo seen = {0};
    int heard = NOTHING;
    (void)cancel_enter(watch->cancel);
    for (unsigned idle = 0; idle < watch->checks && heard == NOTHING;) {
        virDomainJobInfo job = {0};
        heard = wait_for_end(watch, watch->check_ms);
        if (heard != NOTHING)
            break;
        if (virDomainGetJobInfo(watch->domain, &job) < 0)
            memset(&job, 0, sizeof(job));
        bool moved = job.dataProcessed != seen.dataProcessed || job.type != seen.type;
        idle = moved ? 0 : idle + 1;
        seen = job;
        if (moved && watch->target->progress)
            watch->target->progress(watch->target->arg, job.dataProcessed, job.dataTotal);
    }
    watch->stalled = heard == NOTHING;
    if (heard == ENDED)
        return NULL;
    log_debug("managed save: aborted, it %s",
              watch->stalled ? "makes no progress" : "is cancelled");
    abort_save(watch);
    return NULL;
}

static int save_memory(const struct save_watch *watch)
{
    const struct managed_save_target *target = watch->target;
    return target->file ? virDomainSaveFlags(watch->domain, target->file, NULL, target->flags)
                        : virDomainManagedSave(watch->domain, target->flags);
}

static int save_watched(struct save_watch *watch, struct error *err)
{
    pthread_t thread;
    watch->asked_ms = clock_now_ms();
    int r = pthread_create(&thread, NULL, watch_save, watch);
    if (r != 0)
        return error_errno(err, r, "cannot watch over the managed save");
    r = save_memory(watch);
    log_debug("managed save: %s after %" PRIu64 " ms", r < 0 ? "failed" : "complete",
              clock_now_ms() - watch->asked_ms);
    if (r < 0)
        r = libvirt_error(err, "cannot save the guest's memory");
    (void)eventfd_write(watch->ended_fd, 1);
    (void)pthread_join(thread, NULL);
    return r;
}

int managed_save(virDomainPtr domain, unsigned stall_timeout_s, struct error *err)
{
    return managed_save_to(domain, &(const struct managed_save_target){0}, stall_timeout_s, err);
}

int managed_save_to(virDomainPtr domain, const struct managed_save_target *target,
                    unsigned stall_timeout_s, struct error *err)
{
    cleanup_close int ended_fd = eventfd(0, EFD_CLOEXEC);
    const unsigned checks = target->progress ? TELL_CHECKS : STALL_CHECKS;
    struct save_watch watch = {.domain = domain,
                               .target = target,
                               .checks = checks,
                               .check_ms = seconds_ms(stall_timeout_s) / checks,
                               .ended_fd = ended_fd,
                               .cancel = cancel_current()};
    if (ended_fd < 0)
        return error_errno(err, errno, "cannot watch over the managed save");
    if (cancel_check(err) < 0)
        return -ECANCELED;
    if (save_watched(&watch, err) == 0)
        return 0;
    if (watch.stalled)
        return error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR,
                         "saving the guest's memory made no progress for %u s", stall_timeout_s);
    (void)cancel_check(err);
    return -err->errnum;
}

/* *ret_ended is false when it has made no progress for so long. */
static int await_save_end(virDomainPtr domain, unsigned stall_timeout_ms, bool *ret_ended,
                          struct error *err)
{
    uint64_t seen = 0;
    for (unsigned idle_ms = 0; idle_ms < stall_timeout_ms; idle_ms += AWAIT_STEP_MS) {
        struct domain_job job = {0};
        int r = domain_job_read(domain, &job, err);
        *ret_ended = r == 0 && job.operation != VIR_DOMAIN_JOB_OPERATION_SAVE;
        if (r < 0 || *ret_ended)
            return r;
        if (job.processed != seen)
            idle_ms = 0;
        seen = job.processed;
        (void)poll(NULL, 0, AWAIT_STEP_MS);
    }
    return 0;
}

int managed_save_await(virDomainPtr domain, unsigned stall_timeout_s, struct error *err)
{
    bool ended = false;
    int active = virDomainIsActive(domain);
    if (active < 0)
        return libvirt_error(err, "cannot read whether the domain is active");
    if (active == 0) /* there is no job, and libvirt says so with an error */
        return 0;
    int r = await_save_end(domain, seconds_ms(stall_timeout_s), &ended, err);
    if (r < 0 || ended)
        return r;
    log_debug("managed save of an earlier start: aborted, it makes no progress");
    domain_job_abort(domain, VIR_DOMAIN_JOB_OPERATION_SAVE, 0);
    r = await_save_end(domain, ABORT_TIMEOUT_MS, &ended, err);
    if (r < 0 || ended)
        return r;
    return error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR,
                     "saving the guest's memory made no progress for %u s and did not let itself "
                     "be ended",
                     stall_timeout_s);
}

int managed_save_check_none(virDomainPtr domain, struct error *err)
{
    int saved = virDomainHasManagedSaveImage(domain, 0);
    if (saved < 0)
        return libvirt_error(err, "cannot read whether libvirt keeps a memory of the domain");
    return saved == 0 ? 0
                      : error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                                  "libvirt keeps a memory of the guest, which went on meanwhile: "
                                  "start the domain, or `virsh managedsave-remove` it");
}

bool managed_save_file(virDomainPtr domain, char ret_path[static PATH_MAX])
{
    cleanup_free char *uri = virConnectGetURI(virDomainGetConnect(domain));
    const char *name = virDomainGetName(domain);
    if (!uri || !name || strcmp(uri, "qemu:///system") != 0)
        return false;
    int n = snprintf(ret_path, PATH_MAX, "/var/lib/libvirt/qemu/save/%s.save", name);
    return n > 0 && n < PATH_MAX && access(ret_path, R_OK) == 0;
}
