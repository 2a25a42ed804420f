/* SPDX-License-Identifier: Apache-2.0 */
/* See http_handle.h. */
#include "common/http_handle.h"

#include "common/cancel.h"
#include "common/cleanup.h"

#define LOOK_MS 500

int http_handle_init(struct http_handle *handle, struct error *err)
{
    *handle = (struct http_handle){curl_multi_init(), curl_easy_init()};
    if (handle->multi && handle->easy)
        return 0;
    http_handle_done(handle);
    return error_nomem(err);
}

void http_handle_done(struct http_handle *handle)
{
    curl_easy_cleanup(handle->easy);
    (void)curl_multi_cleanup(handle->multi);
    *handle = (struct http_handle){0};
}

void http_handle_pool_init(struct http_handle_pool *pool)
{
    (void)pthread_mutex_init(&pool->lock, NULL);
}

void http_handle_pool_done(struct http_handle_pool *pool)
{
    for (size_t i = 0; i < pool->idle_count; i++)
        http_handle_done(&pool->idle[i]);
    (void)pthread_mutex_destroy(&pool->lock);
}

int http_handle_pool_borrow(struct http_handle_pool *pool, struct http_handle *ret_handle,
                            struct error *err)
{
    {
        LOCK_SCOPE(&pool->lock);
        if (pool->idle_count > 0) {
            *ret_handle = pool->idle[--pool->idle_count];
            return 0;
        }
    }
    return http_handle_init(ret_handle, err);
}

void http_handle_pool_return(struct http_handle_pool *pool, struct http_handle *handle)
{
    {
        LOCK_SCOPE(&pool->lock);
        if (pool->idle_count < HTTP_HANDLE_POOL_MAX) {
            pool->idle[pool->idle_count++] = *handle;
            return;
        }
    }
    http_handle_done(handle);
}

/* Goes on with the transfer until it has ended or is not wanted any more. */
static int drive_multi(CURLM *multi, CURLMcode *ret_multi_code, struct error *err)
{
    int running = 1;
    int r = cancel_check(err);
    while (r == 0 && (*ret_multi_code = curl_multi_perform(multi, &running)) == CURLM_OK &&
           running > 0) {
        int fd = cancel_fd();
        struct curl_waitfd cancelled = {.fd = fd, .events = CURL_WAIT_POLLIN};
        *ret_multi_code = curl_multi_poll(multi, &cancelled, fd >= 0 ? 1 : 0, LOOK_MS, NULL);
        if (*ret_multi_code != CURLM_OK)
            break;
        r = cancel_check(err);
    }
    return r;
}

int http_handle_run(struct http_handle *handle, CURLcode *ret_code, struct error *err)
{
    int left = 0;
    CURLMcode multi_code = curl_multi_add_handle(handle->multi, handle->easy);
    if (multi_code != CURLM_OK) {
        *ret_code = multi_code == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_FAILED_INIT;
        return 0;
    }
    int r = drive_multi(handle->multi, &multi_code, err);
    const CURLMsg *message = curl_multi_info_read(handle->multi, &left);
    if (message && message->msg == CURLMSG_DONE)
        *ret_code = message->data.result;
    else
        *ret_code = multi_code == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_RECV_ERROR;
    (void)curl_multi_remove_handle(handle->multi, handle->easy);
    return r;
}
