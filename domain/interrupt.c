/* SPDX-License-Identifier: Apache-2.0 */
/* See interrupt.h. */
#include "domain/interrupt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "common/cancel.h"

static struct {
    struct cancel *cancel; /* constant when the thread runs */
    sigset_t signals;
} interrupt;

static void *await_signal(void *arg)
{
    struct error reason = ERROR_INIT;
    int number = 0;
    (void)arg;
    (void)sigwait(&interrupt.signals, &number);
    (void)error_set(&reason, ECANCELED, EXC_INTERNAL_ERROR, "interrupted by signal %d", number);
    cancel_request(interrupt.cancel, &reason);
    return NULL;
}

int interrupt_begin(struct error *err)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    pthread_t thread;
    if (interrupt.cancel)
        return 0;
    int r = cancel_new(&interrupt.cancel, err);
    if (r < 0)
        return r;
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigemptyset(&interrupt.signals);
    (void)sigaddset(&interrupt.signals, SIGINT);
    (void)sigaddset(&interrupt.signals, SIGTERM);
    (void)sigaddset(&interrupt.signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &interrupt.signals, NULL);
    (void)cancel_enter(interrupt.cancel);
    r = pthread_create(&thread, NULL, await_signal, NULL);
    if (r != 0)
        return error_errno(err, r, "cannot wait for signals");
    (void)pthread_detach(thread);
    return 0;
}
