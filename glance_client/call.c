/* Requests to Glance: headers, repetitions, and what its answers mean to Nova. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/id.h"
#include "common/retry.h"
#include "common/secret.h"
#include "glance_client/glance_int.h"

#define MAX_DELAY_MS 30000
#define TOTAL_MS 180000
#define ANSWER_MS 600000

int glance_check_image_id(const char *image_id, struct error *err)
{
    if (id_is_uuid(image_id))
        return 0;
    return error_set(err, EINVAL, EXC_IMAGE_NOT_FOUND, "image id '%.64s' is not a UUID",
                     image_id ? image_id : "");
}

int glance_refused(const struct glance_call *call, const struct http_response *response,
                   struct error *err)
{
    const char *id = call->image_id;
    char reason[HTTP_REASON_SIZE];
    http_response_reason(response, reason);
    switch (response->status) {
    case 400:
        (void)error_set(err, EINVAL, EXC_IMAGE_BAD_REQUEST,
                        "Request of image %s got BadRequest response: %s", id, reason);
        break;
    case 401:
    case 403:
        (void)error_set(err, EACCES, EXC_IMAGE_NOT_AUTHORIZED, "Not authorized for image %s (%s)",
                        id, reason);
        break;
    case 404:
        (void)error_set(err, ENOENT, EXC_IMAGE_NOT_FOUND, "Image %s could not be found", id);
        break;
    case 409:
        if (strcmp(call->method, "DELETE") == 0)
            (void)error_set(err, EBUSY, EXC_IMAGE_DELETE_CONFLICT,
                            "Conflict deleting image. Reason: %s", reason);
        else
            (void)error_set(err, EBUSY, EXC_INTERNAL_ERROR, "Glance refuses to change image %s: %s",
                            id, reason);
        break;
    case 413:
        (void)error_set(err, EDQUOT, EXC_IMAGE_QUOTA_EXCEEDED,
                        "Quota exceeded or out of space for image %s in the image service (%s)", id,
                        reason);
        break;
    case 415:
        (void)error_set(err, EPROTOTYPE, EXC_IMAGE_UNACCEPTABLE, "Image %s is unacceptable: %s", id,
                        reason);
        break;
    default:
        (void)error_set(err, EREMOTEIO,
                        http_status_is_transient(response->status) ? EXC_GLANCE_CONNECTION_FAILED
                                                                   : EXC_INTERNAL_ERROR,
                        "Glance answered %s of image %s with %s%s", call->method, id, reason,
                        response->status / 100 == 3 ? " (redirects are not followed)" : "");
        break;
    }
    err->http_status = (int)response->status;
    return -err->errnum;
}

int glance_unreachable(const struct glance_call *call, struct error *err)
{
    const struct error cause = *err;
    return error_set(err, cause.errnum, EXC_GLANCE_CONNECTION_FAILED,
                     "Connection to Glance failed for image %s: %s", call->image_id, cause.message);
}

static int send_with_token(struct glance *glance, const struct request_context *context,
                           const struct glance_call *call, const char *service_token,
                           unsigned total_ms, struct http_response *ret_response,
                           enum http_failure *ret_failure, struct error *err)
{
    cleanup_free char *base = NULL;
    cleanup_free char *url = NULL;
    char size[24] = "";
    int r = glance_endpoint(glance, context, &base, err);
    if (r < 0)
        return r;
    if (asprintf(&url, "%s/v2/images/%s%s", base, call->image_id, call->suffix) < 0)
        return error_nomem(err);
    if (call->source)
        (void)snprintf(size, sizeof(size), "%llu", (unsigned long long)call->source->size_bytes);
    const struct http_header headers[] = {
        {"X-Auth-Token", context->auth_token},
        {"X-Service-Token", service_token},
        {"X-OpenStack-Request-ID", request_context_global_id(context)},
        {"Accept", "application/json"},
        {"Content-Type", call->content_type},
        {"x-openstack-image-size", size},
    };
    const struct http_request request = {
        .method = call->method,
        .url = url,
        .headers = headers,
        .header_count = ARRAY_SIZE(headers),
        .total_ms = total_ms,
        .body = call->body,
        .body_bytes = call->body ? strlen(call->body) : 0,
        .source = call->source,
        .stall_ms = glance->stall_ms,
        .answer_ms = ANSWER_MS > glance->stall_ms ? ANSWER_MS : glance->stall_ms,
    };
    return http_request(glance->http, &request, ret_response, ret_failure, err);
}

int glance_send(struct glance *glance, const struct request_context *context,
                const struct glance_call *call, unsigned total_ms,
                struct http_response *ret_response, enum http_failure *ret_failure,
                struct error *err)
{
    char *service_token = NULL;
    *ret_failure = HTTP_FAILED_REQUEST;
    if (glance->service_session &&
        keystone_session_get_token(glance->service_session, &service_token, err) < 0)
        return error_prepend(err, "no service token for Glance");
    int r = send_with_token(glance, context, call, service_token, total_ms, ret_response,
                            ret_failure, err);
    if (r == 0 && ret_response->status == 401 && service_token)
        keystone_session_invalidate(glance->service_session, service_token);
    secret_free(service_token);
    return r;
}

/* Every call made this way may be repeated: GET, DELETE, PATCH with "add" and "replace". */
static bool may_pass(const struct glance_call *call, const struct http_response *response,
                     unsigned unauthorized)
{
    /* One more try: the service token was stale, or Glance could not ask Keystone just then. */
    if (response->status == 401)
        return unauthorized <= 1;
    return http_status_is_transient(response->status) ||
           (response->status == 500 && strcmp(call->method, "GET") == 0);
}

int glance_call(struct glance *glance, const struct request_context *context,
                const struct glance_call *call, struct http_response *ret_response,
                struct error *err)
{
    const struct retry_policy policy = {
        glance->num_retries + 1, http_client_retry_delay_ms(glance->http), MAX_DELAY_MS, TOTAL_MS};
    struct retry retry = retry_begin(&policy);
    struct http_response response = {0};
    struct error failed = ERROR_INIT;
    enum http_failure failure;
    unsigned unauthorized = 0;
    bool transient;
    unsigned retry_after_ms;
    int r;
    do {
        http_response_done(&response);
        r = glance_send(glance, context, call, retry_remaining_ms(&retry), &response, &failure,
                        &failed);
        unauthorized += response.status == 401;
        transient =
            r < 0 ? http_failure_is_transient(failure) : may_pass(call, &response, unauthorized);
        retry_after_ms = http_response_retry_after_ms(&response);
    } while (transient && retry_wait(&retry, retry_after_ms));

    if (r < 0) {
        *err = failed;
        return failure == HTTP_FAILED_REQUEST ? r : glance_unreachable(call, err);
    }
    if (response.status / 100 != 2) {
        r = glance_refused(call, &response, err);
        http_response_done(&response);
        return r;
    }
    *ret_response = response;
    return 0;
}
