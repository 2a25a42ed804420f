/* SPDX-License-Identifier: Apache-2.0 */
/* See bus_thread.h. */
#include "amqp/bus_thread.h"

#include <signal.h>
#include <stdint.h>
#include <unistd.h>

/*
 * librabbitmq follows tables in tables without a limit of its own. A level takes six bytes of a
 * frame and some 140 of the stack: 21845 levels in the largest frame we agree to (broker_login.c)
 * take 3 MiB. Only what is used costs memory.
 */
#define STACK_BYTES (8 * 1024 * 1024)

int bus_thread_start(pthread_t *ret_thread, void *(*run)(void *arg), void *arg)
{
    pthread_attr_t attr;
    sigset_t all, before;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(ret_thread, &attr, run, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return r;
}

void bus_thread_wake(int wake_fd)
{
    const uint64_t one = 1;
    (void)!write(wake_fd, &one, sizeof(one));
}
