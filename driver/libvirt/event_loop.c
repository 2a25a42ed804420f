/* SPDX-License-Identifier: Apache-2.0 */
/* See event_loop.h. */
#include "driver/libvirt/event_loop.h"

#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stddef.h>

#include "common/log.h"

/* Of two threads, one would take the wake-up that the other needs to end. */
static atomic_flag runs = ATOMIC_FLAG_INIT;

/* Errors are returned to callers; libvirt would print them as well. */
static void ignore_error(void *opaque, virErrorPtr error)
{
    (void)opaque;
    (void)error;
}

static void initialize_libvirt(void)
{
    (void)virInitialize();
    virSetErrorFunc(NULL, ignore_error);
    (void)virEventRegisterDefaultImpl();
}

static void *run_events(void *arg)
{
    struct event_loop *loop = arg;
    while (!atomic_load(&loop->stopping))
        if (virEventRunDefaultImpl() < 0)
            log_debug("libvirt's event loop failed, it goes on with the next event");
    return NULL;
}

static void on_wake(int timer, void *opaque)
{
    (void)opaque;
    virEventUpdateTimeout(timer, -1);
}

static int start(struct event_loop *loop, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, initialize_libvirt);
    loop->wake_timer = virEventAddTimeout(-1, on_wake, NULL, NULL);
    if (loop->wake_timer < 0)
        return error_set(err, EIO, EXC_LIBVIRT_ERROR, "cannot set up libvirt's event loop");
    int r = pthread_create(&loop->thread, NULL, run_events, loop);
    if (r == 0)
        return 0;
    (void)virEventRemoveTimeout(loop->wake_timer);
    return error_errno(err, r, "cannot start libvirt's event loop");
}

int event_loop_start(struct event_loop *loop, struct error *err)
{
    if (atomic_flag_test_and_set(&runs))
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "libvirt's event loop runs already");
    int r = start(loop, err);
    if (r < 0)
        atomic_flag_clear(&runs);
    return r;
}

void event_loop_stop(struct event_loop *loop)
{
    atomic_store(&loop->stopping, true);
    virEventUpdateTimeout(loop->wake_timer, 0);
    (void)pthread_join(loop->thread, NULL);
    (void)virEventRemoveTimeout(loop->wake_timer);
    atomic_flag_clear(&runs);
}
