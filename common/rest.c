/* SPDX-License-Identifier: Apache-2.0 */
/* See rest.h. */
#include "common/rest.h"

#include <errno.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/retry.h"
#include "common/secret.h"

#define MAX_DELAY_MS 30000
#define TOTAL_MS 180000
#define OWN_HEADERS 5
#define HEADERS (OWN_HEADERS + REST_EXTRA_HEADERS)

/* Whose tokens can be renewed. */
static struct keystone_session *session_of(const struct rest_service *service)
{
    return service->own_session ? service->own_session : service->service_session;
}

static int request_once(const struct rest_service *service, const struct rest_call *call,
                        const struct http_header *headers, struct http_response *ret_response,
                        enum http_failure *ret_failure, struct error *err)
{
    cleanup_free char *url = NULL;
    int r = call->make_url(call->opaque, &url, err);
    if (r < 0)
        return r;
    const struct http_request request = {
        .method = call->method,
        .url = url,
        .headers = headers,
        .header_count = HEADERS,
        .total_ms = call->total_ms,
        .body = call->body,
        .body_bytes = call->body ? strlen(call->body) : 0,
        .source = call->source,
        .stall_ms = call->stall_ms,
        .answer_ms = call->answer_ms,
    };
    r = http_request(service->http, &request, ret_response, ret_failure, err);
    if (call->attempted)
        call->attempted(call->opaque, url, r == 0 ? ret_response : NULL, *ret_failure);
    return r;
}

int rest_send(const struct rest_service *service, const struct request_context *context,
              const struct rest_call *call, struct http_response *ret_response,
              enum http_failure *ret_failure, struct error *err)
{
    struct keystone_session *session = session_of(service);
    char *token = NULL;
    *ret_failure = HTTP_FAILED_REQUEST;
    if (session && keystone_session_get_token(session, &token, err) < 0) {
        err->passes = err->errnum != ECANCELED; /* somebody mends Keystone, or our credentials */
        return error_prepend(err, "no service token for %s", service->name);
    }
    struct http_header headers[HEADERS] = {
        {"X-Auth-Token", service->own_session ? token : context->auth_token},
        {"X-Service-Token", service->own_session ? NULL : token},
        {"X-OpenStack-Request-ID", request_context_global_id(context)},
        {"Accept", "application/json"},
        {"Content-Type", call->content_type},
    };
    memcpy(headers + OWN_HEADERS, call->headers, sizeof(call->headers));
    int r = request_once(service, call, headers, ret_response, ret_failure, err);
    if (r == 0 && ret_response->status == 401 && token)
        keystone_session_invalidate(session, token);
    secret_free(token);
    return r;
}

static bool may_do_better(const struct rest_call *call, enum http_failure failure)
{
    return failure == HTTP_FAILED_CONNECT ||
           (call->may_repeat && http_failure_is_transient(failure));
}

static bool may_pass(const struct rest_call *call, unsigned status, unsigned unauthorized)
{
    if (status == 401)
        return unauthorized <= 1;
    if (status == 429)
        return true;
    return call->may_repeat &&
           (http_status_is_transient(status) ||
            (status == 500 && (call->repeats_500 || strcmp(call->method, "GET") == 0)));
}

int rest_call(const struct rest_service *service, const struct request_context *context,
              const struct rest_call *call, struct http_response *ret_response,
              enum http_failure *ret_failure, struct error *err)
{
    const struct retry_policy policy = {
        .attempts = service->retries + 1,
        .base_delay_ms = http_client_retry_delay_ms(service->http),
        .max_delay_ms = MAX_DELAY_MS,
        .total_ms = call->total_ms > 0 && call->total_ms < TOTAL_MS ? call->total_ms : TOTAL_MS,
    };
    struct retry retry = retry_begin(&policy);
    struct rest_call attempt = *call;
    struct http_response response = {0};
    struct error failed = ERROR_INIT;
    unsigned unauthorized = 0;
    unsigned retry_after_ms;
    bool again;
    int r;
    do {
        http_response_done(&response);
        attempt.total_ms = retry_remaining_ms(&retry);
        r = rest_send(service, context, &attempt, &response, ret_failure, &failed);
        unauthorized += response.status == 401;
        if (response.status == 401 && unauthorized == 1 && session_of(service)) {
            log_debug("%s answered 401: the call is repeated once with a new service token",
                      service->name);
            retry_allow_another(&retry);
        }
        again = r < 0 ? may_do_better(call, *ret_failure)
                      : may_pass(call, response.status, unauthorized);
        retry_after_ms = http_response_retry_after_ms(&response);
    } while (again && retry_wait(&retry, retry_after_ms));

    if (again && cancel_check(&failed) < 0) {
        http_response_done(&response);
        *ret_failure = HTTP_FAILED_CANCELED;
        r = -ECANCELED;
    }
    if (r < 0) {
        *err = failed;
        return r;
    }
    *ret_response = response;
    return 0;
}
