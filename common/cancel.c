/* See cancel.h. */
#include "common/cancel.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/cleanup.h"

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
    LOCK_SCOPE(&cancel->lock);
    if (cancel->requested)
        return;
    cancel->requested = true;
    cancel->reason = *reason;
    cancel->reason.errnum = ECANCELED;
    (void)eventfd_write(cancel->fd, 1);
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

void cancel_unshield(struct cancel **shielded)
{
    (void)cancel_enter(*shielded);
}
