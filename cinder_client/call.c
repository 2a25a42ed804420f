/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to Cinder: where they go, and what its answers mean to Nova (nova/volume/cinder.py). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cinder_client/cinder_int.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/rest.h"

const struct cinder_kind cinder_kind_volume = {"Volume", EXC_VOLUME_NOT_FOUND};
const struct cinder_kind cinder_kind_snapshot = {"Snapshot", EXC_SNAPSHOT_NOT_FOUND};
const struct cinder_kind cinder_kind_snapshots = {"Snapshots of volume", EXC_INTERNAL_ERROR};
const struct cinder_kind cinder_kind_attachment = {"Volume attachment",
                                                   EXC_VOLUME_ATTACHMENT_NOT_FOUND};
const struct cinder_kind cinder_kind_limits = {"Limits", EXC_INTERNAL_ERROR};

int cinder_check_id(const struct cinder_kind *kind, const char *id, struct error *err)
{
    if (id_is_uuid(id))
        return 0;
    return error_set(err, EINVAL, kind->not_found, "%s id '%.64s' is not a UUID", kind->name,
                     id ? id : "");
}

unsigned cinder_time_left_ms(uint64_t deadline_ms, unsigned limit_ms)
{
    uint64_t now_ms = clock_now_ms();
    if (deadline_ms == 0)
        return limit_ms;
    if (deadline_ms <= now_ms)
        return 1;
    return (unsigned)earlier_ms(deadline_ms - now_ms, limit_ms);
}

static int call_refused(const struct cinder_call *call, const struct http_response *response,
                        struct error *err)
{
    const char *kind = call->kind->name;
    char reason[HTTP_REASON_SIZE];
    http_response_reason(response, reason);
    switch (response->status) {
    case 400:
        (void)error_set(err, EINVAL, EXC_INVALID_INPUT, "Invalid input received: %s", reason);
        break;
    case 401:
        (void)error_set(err, EACCES, EXC_UNAUTHORIZED, "Not authorized for %s %s (%s)", kind,
                        call->id, reason);
        break;
    case 403:
        (void)error_set(err, EACCES, EXC_FORBIDDEN, "Cinder forbids %s of %s %s (%s)", call->method,
                        kind, call->id, reason);
        break;
    case 404:
        (void)error_set(err, ENOENT, call->kind->not_found, "%s %s could not be found", kind,
                        call->id);
        break;
    case 409:
        (void)error_set(err, EBUSY, EXC_CINDER_CLIENT_EXCEPTION,
                        "Cinder refuses to change %s %s: %s", kind, call->id, reason);
        break;
    case 413:
        (void)error_set(err, EDQUOT, EXC_OVER_QUOTA, "Quota exceeded for %s %s: %s", kind, call->id,
                        reason);
        break;
    default:
        (void)error_set(err, EREMOTEIO,
                        http_status_is_transient(response->status) ? EXC_CINDER_CONNECTION_FAILED
                                                                   : EXC_CINDER_CLIENT_EXCEPTION,
                        "Cinder answered %s of %s %s with %s%s", call->method, kind, call->id,
                        reason, response->status / 100 == 3 ? " (redirects are not followed)" : "");
        break;
    }
    err->http_status = (int)response->status;
    return -err->errnum;
}

static int call_unreachable(struct error *err)
{
    const struct error cause = *err;
    return error_set(err, cause.errnum, EXC_CINDER_CONNECTION_FAILED,
                     "Connection to cinder host failed: %s", cause.message);
}

/* What a call needs to know to find its URL. */
struct target {
    const struct cinder *cinder;
    const struct request_context *context;
    const char *path;
};

static int make_url(const void *opaque, char **ret_url, struct error *err)
{
    const struct target *target = opaque;
    cleanup_free char *base = NULL;
    char *url = NULL;
    int r = cinder_endpoint(target->cinder, target->context, &base, err);
    if (r < 0)
        return r;
    if (asprintf(&url, "%s%s", base, target->path) < 0)
        return error_nomem(err);
    *ret_url = url;
    return 0;
}

int cinder_call(const struct cinder *cinder, const struct request_context *context,
                const struct cinder_call *call, struct http_response *ret_response,
                bool *ret_maybe_done, struct error *err)
{
    const struct target target = {cinder, context, call->path};
    const struct rest_service service = {
        .name = "Cinder",
        .http = cinder->http,
        .service_session = cinder->service_session,
        .retries = cinder->http_retries,
    };
    const struct rest_call rest = {
        .method = call->method,
        .make_url = make_url,
        .opaque = &target,
        .headers = {{"OpenStack-API-Version", call->microversion}},
        .content_type = call->body ? "application/json" : NULL,
        .body = call->body,
        .may_repeat = !call->once,
        .repeats_500 = true, /* Cinder answers so while its database or queue is away */
        .total_ms = call->deadline_ms ? cinder_time_left_ms(call->deadline_ms, UINT32_MAX) : 0,
    };
    struct http_response response;
    enum http_failure failure;
    int r = rest_call(&service, context, &rest, &response, &failure, err);
    if (r < 0) { /* it may have been carried out, and only the answer be missing */
        *ret_maybe_done = failure == HTTP_FAILED_ANSWER || failure == HTTP_FAILED_TIMEOUT ||
                          failure == HTTP_FAILED_SIZE || failure == HTTP_FAILED_CANCELED;
        return failure == HTTP_FAILED_REQUEST || failure == HTTP_FAILED_CANCELED
                   ? r
                   : call_unreachable(err);
    }
    if (response.status / 100 != 2) {
        *ret_maybe_done = response.status / 100 == 5;
        r = call_refused(call, &response, err);
        http_response_done(&response);
        return r;
    }
    *ret_response = response;
    return 0;
}

int cinder_do(const struct cinder *cinder, const struct request_context *context,
              const struct cinder_call *call, struct error *err)
{
    struct http_response response;
    bool maybe_done;
    int r = cinder_call(cinder, context, call, &response, &maybe_done, err);
    if (r == 0)
        http_response_done(&response);
    return r;
}
