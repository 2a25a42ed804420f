/* SPDX-License-Identifier: Apache-2.0 */
/* See http.h. A request is made in http_request.c, sent in http_transfer.c. */
#include "common/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/http_handle.h"
#include "common/http_transfer.h"
#include "common/log.h"
#include "common/option_text.h"

#define TOTAL_TIMEOUT_MS 60000
#define RETRY_DELAY_MS 500

struct http_client {
    struct http_transfer_options transfer;
    unsigned retry_delay_ms;
    struct http_handle_pool pool;
};

static CURLcode global_init_result;

static void global_init(void)
{
    global_init_result = curl_global_init(CURL_GLOBAL_DEFAULT);
#if !HTTP_HAS_QUICK_EXIT
    log_info("libcurl " LIBCURL_VERSION " is older than 7.87: a request that is cancelled while a "
             "name server hangs ends only when that one answers");
#endif
}

struct http_options http_options_first(const struct http_options *first,
                                       const struct http_options *second)
{
    bool has_tls = option_text_is_given(first->cafile) || option_text_is_given(first->certfile) ||
                   first->insecure;
    struct http_options options = has_tls ? *first : *second;
    options.timeout_s = first->timeout_s ? first->timeout_s : second->timeout_s;
    return options;
}

int http_client_new(const struct http_options *options, struct http_client **ret_client,
                    struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, global_init);
    if (global_init_result != CURLE_OK)
        return error_set(err, ENOSYS, EXC_INTERNAL_ERROR, "libcurl does not start: %s",
                         curl_easy_strerror(global_init_result));
    struct http_client *client = calloc(1, sizeof(*client));
    if (!client)
        return error_nomem(err);
    http_handle_pool_init(&client->pool);
    client->transfer.insecure = options->insecure;
    client->transfer.timeout_ms =
        options->timeout_s ? seconds_ms(options->timeout_s) : TOTAL_TIMEOUT_MS;
    client->retry_delay_ms = options->retry_delay_ms ? options->retry_delay_ms : RETRY_DELAY_MS;
    if (!option_text_copy(options->cafile, NULL, &client->transfer.cafile) ||
        !option_text_copy(options->certfile, NULL, &client->transfer.certfile) ||
        !option_text_copy(options->keyfile, NULL, &client->transfer.keyfile) ||
        !option_text_copy(options->unix_socket, NULL, &client->transfer.unix_socket)) {
        http_client_free(client);
        return error_nomem(err);
    }
    *ret_client = client;
    return 0;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    http_handle_pool_done(&client->pool);
    free(client->transfer.cafile);
    free(client->transfer.certfile);
    free(client->transfer.keyfile);
    free(client->transfer.unix_socket);
    free(client);
}

unsigned http_client_retry_delay_ms(const struct http_client *client)
{
    return client->retry_delay_ms;
}

/* Without the query; never headers or bodies. */
static void log_request(const struct http_request *request, const struct http_response *response,
                        const struct error *err, uint64_t begun_ms)
{
    const struct http_url_text url = http_request_show_url(request->url);
    unsigned long long ms = clock_now_ms() - begun_ms;
    if (response)
        log_debug("%s %s: %u in %llu ms", request->method, url.text, response->status, ms);
    else
        log_debug("%s %s: no answer after %llu ms: %s", request->method, url.text, ms,
                  err->message);
}

int http_request(struct http_client *client, const struct http_request *request,
                 struct http_response *ret_response, enum http_failure *ret_failure,
                 struct error *err)
{
    uint64_t begun_ms = clock_now_ms();
    *ret_failure = HTTP_FAILED_REQUEST;
    int r = http_request_check_url(request->url, err);
    if (r < 0)
        return r;
    /* An upload gets a handle of its own: a fresh connection, and its large buffer is given back.
     */
    struct http_handle handle;
    r = request->source ? http_handle_init(&handle, err)
                        : http_handle_pool_borrow(&client->pool, &handle, err);
    if (r < 0)
        return r;
    if (request->source)
        log_debug("%s: sending %llu bytes of image data", request->method,
                  (unsigned long long)request->source->size_bytes);
    r = http_transfer_run(&handle, &client->transfer, request, ret_response, ret_failure, err);
    if (request->source)
        http_handle_done(&handle);
    else
        http_handle_pool_return(&client->pool, &handle);
    log_request(request, r < 0 ? NULL : ret_response, err, begun_ms);
    return r;
}

bool http_failure_is_transient(enum http_failure failure)
{
    return failure == HTTP_FAILED_CONNECT || failure == HTTP_FAILED_ANSWER ||
           failure == HTTP_FAILED_TIMEOUT;
}

bool http_status_is_transient(unsigned status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}
