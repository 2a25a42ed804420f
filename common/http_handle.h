/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curl handles with their open connections, and running a request on one. For http.c and
 * http_transfer.c.
 */
#pragma once

#include <curl/curl.h>
#include <pthread.h>
#include <stddef.h>

#include "common/error.h"

#define HTTP_HANDLE_POOL_MAX 8

/* CURLOPT_QUICK_EXIT: nobody waits for a name server that hangs, once the answer is not wanted. */
#define HTTP_HAS_QUICK_EXIT (LIBCURL_VERSION_NUM >= 0x075700)

/* The connections belong to the multi handle, which never holds another easy handle. */
struct http_handle {
    CURLM *multi;
    CURL *easy;
};

struct http_handle_pool {
    pthread_mutex_t lock;
    struct http_handle idle[HTTP_HANDLE_POOL_MAX]; /* under `lock` */
    size_t idle_count;
};

/* ENOMEM. Owned: http_handle_done(). */
int http_handle_init(struct http_handle *handle, struct error *err);
void http_handle_done(struct http_handle *handle);

void http_handle_pool_init(struct http_handle_pool *pool);

/* No handle may be borrowed. */
void http_handle_pool_done(struct http_handle_pool *pool);

/* A handle out of the pool, or a new one. Thread-safe, as is the way back. */
int http_handle_pool_borrow(struct http_handle_pool *pool, struct http_handle *ret_handle,
                            struct error *err);

/* Takes the handle; its options are forgotten. */
void http_handle_pool_return(struct http_handle_pool *pool, struct http_handle *handle);

/*
 * Runs the transfer whose options are set: 0 and what came of it in *ret_code. -ECANCELED with the
 * reason, at once, when the thread's work is cancelled. The transfer's own callbacks run at least
 * twice a second.
 */
int http_handle_run(struct http_handle *handle, CURLcode *ret_code, struct error *err);
