/* SPDX-License-Identifier: Apache-2.0 */
/* Cancels the work of the thread that runs a test. Include it behind cmocka.h. */
#pragma once

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "common/cancel.h"

/* What has to end at once does not take so long. */
#define CANCELLER_MAX_MS 20000

struct canceller {
    struct cancel *cancel;
    pthread_t thread;
    int fd;
};

/* A cancellation that the calling thread has entered. */
static inline void canceller_enter(struct canceller *canceller)
{
    struct error err = ERROR_INIT;
    assert_int_equal(cancel_new(&canceller->cancel, &err), 0);
    assert_null(cancel_enter(canceller->cancel));
}

/* To be called from anywhere. */
static inline void canceller_request(void *canceller)
{
    struct error reason = ERROR_INIT;
    (void)error_set(&reason, EIO, EXC_IMAGE_NOT_FOUND, "the image is gone");
    cancel_request(((struct canceller *)canceller)->cancel, &reason);
}

static inline void *canceller_run(void *opaque)
{
    struct canceller *canceller = opaque;
    struct pollfd entry = {.fd = canceller->fd, .events = POLLIN};
    (void)poll(&entry, 1, canceller->fd < 0 ? 0 : CANCELLER_MAX_MS);
    canceller_request(canceller);
    return NULL;
}

/* From a thread of its own, as soon as `fd` can be read; -1 = now. */
static inline void canceller_start(struct canceller *canceller, int fd)
{
    canceller->fd = fd;
    assert_int_equal(pthread_create(&canceller->thread, NULL, canceller_run, canceller), 0);
}

static inline void canceller_join(struct canceller *canceller)
{
    assert_int_equal(pthread_join(canceller->thread, NULL), 0);
}

static inline void canceller_leave(struct canceller *canceller)
{
    assert_ptr_equal(cancel_enter(NULL), canceller->cancel);
    cancel_free(canceller->cancel);
}

static inline void assert_cancelled(int r, const struct error *err)
{
    assert_int_equal(r, -ECANCELED);
    assert_int_equal(err->errnum, ECANCELED);
    assert_string_equal(err->exc, EXC_IMAGE_NOT_FOUND);
    assert_non_null(strstr(err->message, "the image is gone"));
}
