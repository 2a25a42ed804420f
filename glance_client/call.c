/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to Glance: where they go, and what its answers mean to Nova. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"
#include "common/rest.h"
#include "glance_client/glance_int.h"

#define ANSWER_MS 600000

bool glance_is_one_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(text, *list) == 0)
            return true;
    return false;
}

int glance_check_image_id(const char *image_id, struct error *err)
{
    if (id_is_uuid(image_id))
        return 0;
    return error_set(err, EINVAL, EXC_IMAGE_NOT_FOUND, "image id '%.64s' is not a UUID",
                     image_id ? image_id : "");
}

/* In messages. */
static const char *call_id(const struct glance_call *call)
{
    return call->image_id ? call->image_id : "list";
}

/* What nova does not translate: glanceclient.exc:from_response. */
static const char *client_class(unsigned status)
{
    static const struct {
        unsigned status;
        const char *exc;
    } classes[] = {{300, "HTTPMultipleChoices"},
                   {405, "HTTPMethodNotAllowed"},
                   {409, EXC_GLANCE_HTTP_CONFLICT},
                   {500, EXC_GLANCE_HTTP_SERVER_ERROR},
                   {501, "HTTPNotImplemented"}};
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
        if (classes[i].status == status)
            return classes[i].exc;
    return EXC_GLANCE_HTTP_EXCEPTION;
}

static void refused_for_others(const struct glance_call *call, unsigned status, int errnum,
                               const char *reason, struct error *err)
{
    char what[ERROR_MESSAGE_MAX];
    (void)snprintf(what, sizeof(what), "Glance answered %s of image %s with %s%s", call->method,
                   call_id(call), reason, status / 100 == 3 ? " (redirects are not followed)" : "");
    if (http_status_is_transient(status))
        (void)error_set(err, errnum, EXC_GLANCE_CONNECTION_FAILED, "%s", what);
    else
        (void)error_set_foreign(err, errnum, "glanceclient.exc", client_class(status), "%s", what);
}

/* nova.image.glance:_translate_image_exception; of the list _translate_plain_exception. */
int glance_refused(const struct glance_call *call, const struct http_response *response,
                   struct error *err)
{
    const char *id = call_id(call);
    char reason[HTTP_REASON_SIZE];
    http_response_reason(response, reason);
    switch (response->status) {
    case 400:
        (void)error_set(err, EINVAL, EXC_IMAGE_BAD_REQUEST,
                        "Request of image %s got BadRequest response: %s", id, reason);
        break;
    case 401:
    case 403:
        (void)error_set(err, EACCES, call->image_id ? EXC_IMAGE_NOT_AUTHORIZED : EXC_FORBIDDEN,
                        "Not authorized for image %s (%s)", id, reason);
        break;
    case 404:
        (void)error_set(err, ENOENT, EXC_IMAGE_NOT_FOUND, "Image %s could not be found", id);
        break;
    case 409:
        if (strcmp(call->method, "DELETE") == 0)
            (void)error_set(err, EBUSY, EXC_IMAGE_DELETE_CONFLICT,
                            "Conflict deleting image. Reason: %s", reason);
        else
            refused_for_others(call, response->status, EBUSY, reason, err);
        break;
    case 413:
        (void)error_set(err, EDQUOT, EXC_IMAGE_QUOTA_EXCEEDED,
                        "Quota exceeded or out of space for image %s in the image service (%s)", id,
                        reason);
        break;
    case 415:
        refused_for_others(call, response->status, EPROTOTYPE, reason, err);
        break;
    default:
        refused_for_others(call, response->status, EREMOTEIO, reason, err);
        break;
    }
    err->http_status = (int)response->status;
    return -err->errnum;
}

int glance_no_answer(const struct glance_call *call, enum http_failure failure, struct error *err)
{
    const struct error cause = *err;
    if (failure == HTTP_FAILED_REQUEST || failure == HTTP_FAILED_CANCELED)
        return -cause.errnum;
    return error_set(err, cause.errnum, EXC_GLANCE_CONNECTION_FAILED,
                     "Connection to Glance failed for image %s: %s", call_id(call), cause.message);
}

/* What a call needs to know to find its URL. */
struct target {
    struct glance *glance;
    const struct request_context *context;
    const struct glance_call *call;
};

static int make_url(const void *opaque, char **ret_url, struct error *err)
{
    const struct target *target = opaque;
    cleanup_free char *base = NULL;
    char *url = NULL;
    int r = glance_endpoint(target->glance, target->context, &base, err);
    if (r < 0)
        return r;
    const char *id = target->call->image_id;
    if (asprintf(&url, "%s/v2/images%s%s%s", base, id ? "/" : "", id ? id : "",
                 target->call->suffix) < 0)
        return error_nomem(err);
    *ret_url = url;
    return 0;
}

static bool is_servers_fault(enum http_failure failure)
{
    return failure == HTTP_FAILED_CONNECT || failure == HTTP_FAILED_TLS ||
           failure == HTTP_FAILED_ANSWER || failure == HTTP_FAILED_TIMEOUT;
}

/* The next attempt, whoever's it is, goes elsewhere. */
static void note_attempt(const void *opaque, const char *url, const struct http_response *response,
                         enum http_failure failure)
{
    const struct target *target = opaque;
    bool answered = response && !(response->status >= 502 && response->status <= 504);
    if (response || is_servers_fault(failure))
        glance_api_server_judge(target->glance, url, answered, clock_now_ms());
}

static struct rest_call rest_call_of(const struct target *target)
{
    const struct glance_call *call = target->call;
    const unsigned stall_ms = target->glance->stall_ms;
    return (struct rest_call){
        .method = call->method,
        .make_url = make_url,
        .attempted = note_attempt,
        .opaque = target,
        .content_type = call->content_type,
        .body = call->body,
        .source = call->source,
        .stall_ms = stall_ms,
        .answer_ms = ANSWER_MS > stall_ms ? ANSWER_MS : stall_ms,
        .total_ms = call->total_ms,
        .may_repeat = true, /* GET, DELETE, PATCH with "add" and "replace" */
    };
}

static struct rest_service service_of(const struct glance *glance)
{
    return (struct rest_service){
        .name = "Glance",
        .http = glance->http,
        .service_session = glance->service_session,
        .retries = glance->num_retries,
    };
}

int glance_send(struct glance *glance, const struct request_context *context,
                const struct glance_call *call, struct http_response *ret_response,
                enum http_failure *ret_failure, struct error *err)
{
    const struct target target = {glance, context, call};
    const struct rest_service service = service_of(glance);
    struct rest_call rest = rest_call_of(&target);
    char size[24] = "";
    if (call->source && call->source->size_bytes > 0)
        (void)snprintf(size, sizeof(size), "%llu", (unsigned long long)call->source->size_bytes);
    rest.headers[0] = (struct http_header){"x-openstack-image-size", size};
    return rest_send(&service, context, &rest, ret_response, ret_failure, err);
}

/* An image is looked at and deleted also when the token of its request has expired meanwhile. */
static bool is_for_ourselves(const struct glance_call *call)
{
    return call->image_id &&
           (strcmp(call->method, "GET") == 0 || strcmp(call->method, "DELETE") == 0);
}

/*
 * Replaces the refusal in *response by a success. Any other answer to our own token counts for
 * nothing: a service user without a role in the image's project is told that there is no image.
 */
static void ask_as_ourselves(const struct glance *glance, const struct request_context *context,
                             const struct rest_call *rest, struct http_response *response)
{
    struct rest_service service = service_of(glance);
    struct http_response other;
    enum http_failure failure;
    struct error err = ERROR_INIT;
    service.own_session = glance->own_session;
    log_debug("Glance refuses the user's token, it is asked with the agent's own");
    if (rest_call(&service, context, rest, &other, &failure, &err) < 0) {
        log_debug("Glance cannot be asked with the agent's own token: %s", err.message);
        return;
    }
    if (other.status / 100 != 2) {
        http_response_done(&other);
        return;
    }
    http_response_done(response);
    *response = other;
}

int glance_call(struct glance *glance, const struct request_context *context,
                const struct glance_call *call, struct http_response *ret_response,
                struct error *err)
{
    const struct target target = {glance, context, call};
    const struct rest_service service = service_of(glance);
    const struct rest_call rest = rest_call_of(&target);
    struct http_response response;
    enum http_failure failure;
    int r = rest_call(&service, context, &rest, &response, &failure, err);
    if (r < 0)
        return glance_no_answer(call, failure, err);
    if (response.status == 401 && glance->own_session && is_for_ourselves(call))
        ask_as_ourselves(glance, context, &rest, &response);
    if (response.status / 100 != 2) {
        r = glance_refused(call, &response, err);
        http_response_done(&response);
        return r;
    }
    *ret_response = response;
    return 0;
}
