/* See managed_save.h. */
#include "driver/managed_save.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "driver/libvirt_connection.h"

#define STALL_CHECKS 4

/* A second thread looks after the call, which blocks until the memory is written. */
struct save_watch {
    virDomainPtr domain;
    unsigned check_ms;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t ended_cond;
    bool ended;
    bool stalled;
};

static bool wait_for_end(struct save_watch *watch)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += watch->check_ms / 1000;
    until.tv_nsec += (long)(watch->check_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    LOCK_SCOPE(&watch->lock);
    while (!watch->ended)
        if (pthread_cond_timedwait(&watch->ended_cond, &watch->lock, &until) == ETIMEDOUT)
            break;
    return watch->ended;
}

static void *watch_save(void *arg)
{
    struct save_watch *watch = arg;
    virDomainJobInfo seen = {0};
    for (unsigned idle = 0; idle < STALL_CHECKS;) {
        if (wait_for_end(watch))
            return NULL;
        virDomainJobInfo job = {0};
        if (virDomainGetJobInfo(watch->domain, &job) < 0)
            memset(&job, 0, sizeof(job));
        bool moved = job.dataProcessed != seen.dataProcessed || job.type != seen.type;
        idle = moved ? 0 : idle + 1;
        seen = job;
    }
    {
        LOCK_SCOPE(&watch->lock);
        watch->stalled = true;
    }
    (void)virDomainAbortJob(watch->domain);
    return NULL;
}

int managed_save(virDomainPtr domain, unsigned stall_timeout_s, struct error *err)
{
    struct save_watch watch = {.domain = domain,
                               .check_ms = stall_timeout_s * 1000 / STALL_CHECKS,
                               .lock = PTHREAD_MUTEX_INITIALIZER,
                               .ended_cond = PTHREAD_COND_INITIALIZER};
    pthread_t thread;
    int r = pthread_create(&thread, NULL, watch_save, &watch);
    if (r != 0)
        return error_errno(err, r, "cannot watch over the managed save");
    r = virDomainManagedSave(domain, 0);
    if (r < 0)
        r = libvirt_error(err, "cannot save the guest's memory");
    {
        LOCK_SCOPE(&watch.lock);
        watch.ended = true;
        (void)pthread_cond_signal(&watch.ended_cond);
    }
    (void)pthread_join(thread, NULL);
    if (r < 0 && watch.stalled)
        return error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR,
                         "saving the guest's memory made no progress for %u s", stall_timeout_s);
    return r;
}
