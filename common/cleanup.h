/* SPDX-License-Identifier: Apache-2.0 */
/* Scope-exit attributes and ownership hand-over. Every cleanup function accepts NULL or -1. */
#pragma once

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_ptr(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static inline void cleanup_fclose_file(FILE **file)
{
    if (*file)
        (void)fclose(*file);
}

static inline void cleanup_unlock_mutex(pthread_mutex_t **mutex)
{
    (void)pthread_mutex_unlock(*mutex);
}

#define cleanup_free __attribute__((cleanup(cleanup_free_ptr)))
#define cleanup_close __attribute__((cleanup(cleanup_close_fd)))
#define cleanup_fclose __attribute__((cleanup(cleanup_fclose_file)))

/* Holds the mutex until the end of the scope. `unused` silences clang, which does not count the
 * cleanup. */
#define LOCK_SCOPE(mutex)                                                                          \
    __attribute__((unused, cleanup(cleanup_unlock_mutex))) pthread_mutex_t *scope_lock_ = (mutex); \
    (void)pthread_mutex_lock(scope_lock_)

/* Gives the pointer away: the variable becomes NULL, the value is returned. */
#define TAKE_PTR(ptr)                                                                              \
    __extension__({                                                                                \
        __typeof__(ptr) take_ptr_ = (ptr);                                                         \
        (ptr) = NULL;                                                                              \
        take_ptr_;                                                                                 \
    })

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
