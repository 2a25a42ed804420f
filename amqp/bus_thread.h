/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that read from a broker. */
#pragma once

#include <pthread.h>

/*
 * Starts a thread for `run`, with all signals blocked (they are the main thread's) and with a stack
 * for the deepest table there can be in a frame. Returns 0 or an errno, as pthread_create().
 */
int bus_thread_start(pthread_t *ret_thread, void *(*run)(void *arg), void *arg);
