/* SPDX-License-Identifier: Apache-2.0 */
/* See cancel.h. */
#include "common/cancel.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

struct cancel {
    int fd;               /* eventfd, readable from the request on */
    pthread_mutex_t lock; /* guards what follows */
    bool requested;
    struct error reason;
};

static _Thread_local struct cancel *current;

int cancel_new(struct cancel **ret_cancel, struct error *err)
{
    struct cancel *cancel = calloc(1, sizeof(*cancel));
    if (!cancel)
        return error_nomem(err);
    cancel->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (cancel->fd < 0) {
        int saved_errno = errno;
        free(cancel);
        return error_errno(err, saved_errno, "cannot make an eventfd");
    }
    (void)pthread_mutex_init(&cancel->lock, NULL);
    *ret_cancel = cancel;
    return 0;
}

void cancel_free(struct cancel *cancel)
{
    if (!cancel)
        return;
    (void)close(cancel->fd);
    (void)pthread_mutex_destroy(&cancel->lock);
    free(cancel);
}

void cancel_request(struct cancel *cancel, const struct error *reason)
{
    {
        LOCK_SCOPE(&cancel->lock);
        if (cancel->requested)
            return;
        cancel->requested = true;
        cancel->reason = *reason;
        cancel->reason.errnum = ECANCELED;
        (void)eventfd_write(cancel->fd, 1);
    }
    log_debug("cancelling: %s", reason->message);
}

struct cancel *cancel_enter(struct cancel *cancel)
{
    struct cancel *before = current;
    current = cancel;
    return before;
}

struct cancel *cancel_current(void)
{
    return current;
}

int cancel_check(struct error *err)
{
    if (!current)
        return 0;
    LOCK_SCOPE(&current->lock);
    if (!current->requested)
        return 0;
    *err = current->reason;
    return -ECANCELED;
}

int cancel_fd(void)
{
    return current ? current->fd : -1;
}

static int poll_timeout_ms(uint64_t deadline_ms)
{
    uint64_t now_ms = clock_now_ms();
    if (deadline_ms == NEVER_MS)
        return -1;
    return deadline_ms <= now_ms ? 0 : (int)earlier_ms(deadline_ms - now_ms, INT_MAX);
}

int cancel_await(int fd, uint64_t deadline_ms, struct error *err)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = cancel_fd(), .events = POLLIN}};
    int n;
    do
        n = poll(fds, ARRAY_SIZE(fds), poll_timeout_ms(deadline_ms));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_errno(err, errno, "cannot wait");
    if (fds[0].revents != 0)
        return 0;
    return n > 0 ? cancel_check(err) : error_errno(err, ETIMEDOUT, "waited in vain");
}

void cancel_unshield(struct cancel **shielded)
{
    (void)cancel_enter(*shielded);
}
