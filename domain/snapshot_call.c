/* SPDX-License-Identifier: Apache-2.0 */
/* See snapshot_call.h. */
#include "domain/snapshot_call.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain_job.h"

#define LOOK_MS 1000

struct call {
    virDomainPtr domain;
    struct cancel *cancel;
    int done_fd;       /* readable when the call has returned */
    uint64_t asked_ms; /* since when it is made */
    uint64_t stall_ms;
    uint64_t written_bytes;
    uint64_t since_ms;   /* it has written so much */
    struct error reason; /* to abort it; read when the helper has ended */
};

/* Only a migration to a file tells how far it is. */
static bool is_stalled(struct call *call)
{
    struct domain_job job = {0};
    bool is_writing =
        domain_job_is_begun(call->domain, VIR_DOMAIN_JOB_OPERATION_SNAPSHOT, call->asked_ms, &job);
    uint64_t now_ms = clock_now_ms();
    if (!is_writing || job.processed != call->written_bytes) {
        call->written_bytes = job.processed;
        call->since_ms = now_ms;
    }
    return now_ms - call->since_ms > call->stall_ms;
}

/* Again and again: the job may not have begun. */
static void abort_until_done(const struct call *call)
{
    struct error ignored = ERROR_INIT;
    CANCEL_SHIELD();
    do
        domain_job_abort(call->domain, VIR_DOMAIN_JOB_OPERATION_SNAPSHOT, call->asked_ms);
    while (cancel_await(call->done_fd, clock_now_ms() + LOOK_MS, &ignored) < 0);
}

static void *watch_call(void *arg)
{
    struct call *call = arg;
    (void)cancel_enter(call->cancel);
    call->since_ms = clock_now_ms();
    for (;;) {
        struct error reason = ERROR_INIT;
        int r = cancel_await(call->done_fd, clock_now_ms() + LOOK_MS, &reason);
        if (r == 0)
            return NULL;
        if (r == -ETIMEDOUT && !is_stalled(call))
            continue;
        call->reason = reason;
        if (r == -ETIMEDOUT)
            (void)error_set(&call->reason, ETIMEDOUT, EXC_INTERNAL_ERROR,
                            "nothing more of the guest's memory was written for a while");
        abort_until_done(call);
        return NULL;
    }
}

int snapshot_call(virDomainPtr domain, const char *xml, unsigned flags, unsigned stall_timeout_s,
                  struct error *err)
{
    pthread_t thread;
    cleanup_close int done_fd = eventfd(0, EFD_CLOEXEC);
    struct call call = {.domain = domain,
                        .cancel = cancel_current(),
                        .done_fd = done_fd,
                        .asked_ms = clock_now_ms(),
                        .stall_ms = seconds_ms(stall_timeout_s)};
    if (done_fd < 0)
        return error_errno(err, errno, "cannot make an eventfd");
    int r = cancel_check(err);
    if (r < 0)
        return r;
    r = pthread_create(&thread, NULL, watch_call, &call);
    if (r != 0)
        return error_errno(err, r, "cannot watch over libvirt");
    virDomainSnapshotPtr snapshot = virDomainSnapshotCreateXML(domain, xml, flags);
    r = snapshot ? 0 : libvirt_error(err, "libvirt makes no checkpoint");
    (void)eventfd_write(done_fd, 1);
    (void)pthread_join(thread, NULL);
    if (snapshot)
        (void)virDomainSnapshotFree(snapshot);
    if (r == 0 || call.reason.errnum == 0)
        return r;
    *err = call.reason;
    return -err->errnum;
}
