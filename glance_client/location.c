/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data by reference: the image's bytes are already where Glance would have put them. Until 2025.1
 * nova-compute sends a PATCH, "add /locations/-", which show_multiple_locations may forbid. Since
 * 2025.2 it sends POST /v2/images/{id}/locations, and that PATCH only where Glance's API is older
 * than 2.17 (nova.image.glance:_add_location). A POST is answered with 202 and done by a task,
 * which reads all data of the active image for os_hash_value, unless do_secure_hash is off
 * (glance/async_/flows/location_import.py); after a PATCH there is no hash. Which way comes first
 * is the caller's to say; the other one is better than to read the disk.
 *
 * Both leave "queued" only once, so after an answer that leaves it open GET tells, as for a PUT.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "glance_client/glance_int.h"

/* Beside 0 and -errno: */
#define LOCATION_AGAIN 1    /* the image still waits for its data */
#define LOCATION_ANSWERED 2 /* not yet judged */

struct location {
    struct glance *glance;
    const struct request_context *context;
    const char *image_id;
    const char *url;
    bool post;       /* what is sent, not a PATCH */
    bool is_settled; /* that is not to change any more */
    bool maybe_done; /* a request without an answer was sent */
    struct retry retry;
    bool token_renewed;
    unsigned retry_after_ms;
};

/* The token has expired meanwhile. A PATCH that is answered is done, a POST is done later. */
static int location_refused(const struct location *location, bool accepted, struct error *err)
{
    const struct error cause = *err;
    if (!accepted || location->post)
        return error_set(err, EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED,
                         "upload of image %s: what became of it is not known: %s",
                         location->image_id, cause.message);
    log_warning("image %s: Glance has taken its location, but the image cannot be read any more to "
                "verify it, the snapshot goes on: %s",
                location->image_id, cause.message);
    return 0;
}

/* `accepted`: by an answer, "queued" does not last then. LOCATION_AGAIN leaves *err as it is. */
static int location_settle(const struct location *location, bool accepted, struct error *err)
{
    static const char *const statuses[] = {"queued", "saving", "importing", "uploading", NULL};
    const struct glance_wait wait = {location->image_id, accepted ? statuses : statuses + 1,
                                     glance_patience_ms(location->glance)};
    struct glance_image image;
    int r = glance_image_settle(location->glance, location->context, &wait, &image, err);
    if (r < 0)
        return error_is(err, EXC_IMAGE_NOT_AUTHORIZED) ? location_refused(location, accepted, err)
                                                       : r;
    if (strcmp(image.status, "queued") == 0)
        r = LOCATION_AGAIN;
    else if (strcmp(image.status, "active") != 0)
        r = glance_image_lost(&image, err);
    glance_image_done(&image);
    return r;
}

/* Returns owned; NULL = no memory. */
static char *location_body(const struct location *location)
{
    json_t *body = location->post
                       ? json_pack("{s:s, s:{}}", "url", location->url, "validation_data")
                       : json_pack("[{s:s, s:s, s:{s:s, s:{}}}]", "op", "add", "path",
                                   "/locations/-", "value", "url", location->url, "metadata");
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}

/*
 * *err already says what was wrong with the answer. "Already there" (400, 409) is our own doing
 * only when an earlier request may have been carried out.
 */
static int location_judge(struct location *location, unsigned status, struct error *err)
{
    if (status == 401 && location->glance->service_session && !location->token_renewed) {
        retry_allow_another(&location->retry);
        location->token_renewed = true;
    }
    if (status == 401 || status == 429)
        return LOCATION_AGAIN;
    bool server_failed = status / 100 == 5;
    if (!server_failed && !((status == 400 || status == 409) && location->maybe_done))
        return -err->errnum;
    location->maybe_done = true;
    struct error other = ERROR_INIT;
    int r = location_settle(location, false, &other);
    if (r == LOCATION_AGAIN && !server_failed)
        return -err->errnum;
    if (r < 0)
        *err = other;
    return r;
}

static int location_send(struct location *location, unsigned *ret_status, struct error *err)
{
    cleanup_free char *body = location_body(location);
    if (!body)
        return error_nomem(err);
    const struct glance_call call = {
        .method = location->post ? "POST" : "PATCH",
        .image_id = location->image_id,
        .suffix = location->post ? "/locations" : "",
        .content_type =
            location->post ? "application/json" : "application/openstack-images-v2.1-json-patch",
        .body = body,
    };
    struct http_response response;
    enum http_failure failure;
    location->retry_after_ms = 0;
    int r = glance_send(location->glance, location->context, &call, &response, &failure, err);
    if (r < 0) {
        r = glance_no_answer(&call, failure, err);
        location->maybe_done |= failure != HTTP_FAILED_CONNECT && failure != HTTP_FAILED_REQUEST;
        return http_failure_is_transient(failure) ? location_settle(location, false, err) : r;
    }
    *ret_status = response.status;
    location->retry_after_ms = http_response_retry_after_ms(&response);
    if (response.status / 100 != 2)
        (void)glance_refused(&call, &response, err);
    http_response_done(&response);
    return LOCATION_ANSWERED;
}

/* A Glance before API 2.17; or the image is gone, which a PATCH tells as well. */
static bool location_knows_no_post(unsigned status)
{
    return status == 404 || status == 405 || status == 501;
}

/* Once; what is told is what became of the PATCH, or of a POST that there is. */
static int location_send_other(struct location *location, unsigned *status, struct error *err)
{
    const struct error first = *err;
    log_debug("image %s: Glance takes no %s of locations", location->image_id,
              location->post ? "POST" : "PATCH");
    location->post = !location->post;
    location->is_settled = true;
    int r = location_send(location, status, err);
    if (r != LOCATION_ANSWERED || !location->post || !location_knows_no_post(*status))
        return r;
    *err = first;
    return -err->errnum;
}

/* One request and what came of it: 0, LOCATION_AGAIN or -errno, the last two with *err. */
static int location_attempt(struct location *location, struct error *err)
{
    unsigned status = 0;
    int r = location_send(location, &status, err);
    if (r == LOCATION_ANSWERED && !location->is_settled &&
        (status == 403 || (location->post && location_knows_no_post(status))))
        r = location_send_other(location, &status, err);
    if (r != LOCATION_ANSWERED)
        return r;
    return status / 100 == 2 ? location_settle(location, true, err)
                             : location_judge(location, status, err);
}

static int location_run(struct location *location, struct error *err)
{
    struct error failed = ERROR_INIT;
    location->retry = glance_begin_attempts(location->glance);
    int r = location_attempt(location, &failed);
    while (r == LOCATION_AGAIN && retry_wait(&location->retry, location->retry_after_ms)) {
        log_debug("image %s: its location is sent again: %s", location->image_id, failed.message);
        r = location_attempt(location, &failed);
    }
    if (r == 0)
        return 0;
    if (r == LOCATION_AGAIN)
        (void)cancel_check(&failed);
    *err = failed;
    return -err->errnum;
}

int glance_image_add_location(struct glance *glance, const struct request_context *context,
                              const char *image_id, const char *url, enum glance_location_way first,
                              struct error *err)
{
    struct location location = {.glance = glance,
                                .context = context,
                                .image_id = image_id,
                                .url = url,
                                .post = first == GLANCE_LOCATION_POST};
    int r = glance_check_image_id(image_id, err);
    if (r < 0)
        return r;
    log_debug("image %s: its location becomes %s", image_id, url);
    return location_run(&location, err);
}
