/* SPDX-License-Identifier: Apache-2.0 */
/* The bus thread and its helpers: how they are started, how they wake it. */
#pragma once

#include <pthread.h>

/*
 * Starts a thread for `run`, with all signals blocked (they are the main thread's) and with a stack
 * for the deepest table there can be in a frame. Returns 0 or an errno, as pthread_create().
 */
int bus_thread_start(pthread_t *ret_thread, void *(*run)(void *arg), void *arg);

/* Ends the bus thread's poll(2): something waits for it. `wake_fd` is its eventfd. Any thread. */
void bus_thread_wake(int wake_fd);
