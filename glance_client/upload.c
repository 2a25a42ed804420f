/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The upload: PUT /v2/images/{id}/file, and finding out what became of it. An image is called
 * uploaded only when Glance holds it active with the size and the hash of what was read.
 *
 * What Glance does with a PUT (glance/api/v2/image_data.py:upload, location.py:set_data): queued ->
 * saving -> active; any failure puts the image back to "queued", with its data removed; while it is
 * not "queued" another PUT is answered with 409. So after an answer that leaves it open, GET tells.
 * A Glance that died meanwhile leaves it "saving" for ever: nothing but a DELETE ends that.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "common/cancel.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "glance_client/glance_int.h"
#include "glance_client/image_hash.h"

#define UPLOAD_AGAIN 1 /* beside 0 and -errno: Glance waits for the data once more */

struct upload {
    struct image_source source; /* in front of the hash: knows what was sent */
    uint64_t sent_bytes;        /* in this attempt */
    struct glance *glance;
    const struct request_context *context;
    const char *image_id;
    struct image_hash *hash;
    struct retry retry;
    bool token_renewed;
    unsigned retry_after_ms;
};

static int upload_failed(const struct upload *upload, struct error *err, const char *text)
{
    return error_set(err, EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, "upload of image %s failed: %s",
                     upload->image_id, text);
}

/*
 * Without a hash to compare with, the size alone counts, and only when the upload was answered with
 * 204.
 */
static int verify_hash(struct upload *upload, const struct glance_image *image, bool stored,
                       struct error *err)
{
    char hex[IMAGE_HASH_HEX_SIZE];
    struct error unknown = ERROR_INIT;
    int r = -ENOTSUP;
    if (image->os_hash_algo && image->os_hash_value)
        r = image_hash_digest(upload->hash, image->os_hash_algo, hex, &unknown);
    if (r == 0 && strcasecmp(hex, image->os_hash_value) == 0)
        return 0;
    if (r == 0)
        return upload_failed(upload, err, "its os_hash_value is not that of the data sent");
    if (r != -ENOTSUP) {
        *err = unknown;
        return r;
    }
    if (!stored)
        return upload_failed(upload, err, "it is active, but with no hash to verify");
    log_debug("image %s: Glance has no hash that can be verified (os_hash_algo %s)",
              upload->image_id, image->os_hash_algo ? image->os_hash_algo : "unset");
    return 0;
}

static int upload_verify(struct upload *upload, const struct glance_image *image, bool stored,
                         struct error *err)
{
    uint64_t size_bytes = upload->source.size_bytes;
    if (image->size_bytes < 0 || (uint64_t)image->size_bytes != size_bytes)
        return error_set(err, EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED,
                         "upload of image %s failed: it holds %lld bytes instead of %llu",
                         upload->image_id, (long long)image->size_bytes,
                         (unsigned long long)size_bytes);
    return verify_hash(upload, image, stored, err);
}

/* When not all was sent, Glance has only to notice that. */
static unsigned patience_ms(const struct upload *upload)
{
    return upload->sent_bytes == upload->source.size_bytes ? glance_patience_ms(upload->glance)
                                                           : upload->glance->stall_ms;
}

/* The token has expired since the PUT began: only the answer to the PUT tells. */
static int upload_refused(const struct upload *upload, bool stored, struct error *err)
{
    if (!stored)
        return error_prepend(err, "upload of image %s: what became of it is not known",
                             upload->image_id);
    log_warning("image %s: Glance has taken all of it, but the image cannot be read any more to "
                "verify its hash, the snapshot goes on: %s",
                upload->image_id, err->message);
    return 0;
}

/* `stored`: the PUT was answered with 204. UPLOAD_AGAIN leaves *err as it is. */
static int upload_settle(struct upload *upload, bool stored, struct error *err)
{
    static const char *const passing[] = {"saving", NULL};
    const struct glance_wait wait = {upload->image_id, passing, patience_ms(upload)};
    struct glance_image image;
    int r = glance_image_settle(upload->glance, upload->context, &wait, &image, err);
    if (r < 0)
        return error_is(err, EXC_IMAGE_NOT_AUTHORIZED) ? upload_refused(upload, stored, err) : r;
    if (strcmp(image.status, "active") == 0)
        r = upload_verify(upload, &image, stored, err);
    else if (strcmp(image.status, "queued") == 0 && !stored)
        r = UPLOAD_AGAIN;
    else
        r = glance_image_lost(&image, err);
    glance_image_done(&image);
    return r;
}

/* *err already says what was wrong with the answer. */
static int upload_judge(struct upload *upload, unsigned status, struct error *err)
{
    int r;
    switch (status) {
    case 400: /* also after PUT: formats missing, bad store; nothing that passes */
    case 403:
    case 404:
    case 413:
    case 415: /* the image keeps a reference to the rejected data: never PUT again */
        return -err->errnum;
    case 401: /* before anything was read; the service token has been forgotten */
        if (upload->glance->service_session && !upload->token_renewed)
            retry_allow_another(&upload->retry);
        upload->token_renewed = true;
        return UPLOAD_AGAIN;
    case 429:
        return UPLOAD_AGAIN;
    case 410:
        r = upload_settle(upload, false, err);
        return r == UPLOAD_AGAIN ? -err->errnum : r;
    default:
        if (status / 100 == 5 || status == 409)
            return upload_settle(upload, false, err);
        return -err->errnum;
    }
}

/* One PUT and what came of it: 0, UPLOAD_AGAIN or -errno, the last two with *err. */
static int upload_attempt(struct upload *upload, struct error *err)
{
    const struct glance_call call = {
        .method = "PUT",
        .image_id = upload->image_id,
        .suffix = "/file",
        .content_type = "application/octet-stream",
        .source = &upload->source,
    };
    struct http_response response;
    enum http_failure failure;
    upload->retry_after_ms = 0;
    int r = glance_send(upload->glance, upload->context, &call, &response, &failure, err);
    log_debug("image %s: %" PRIu64 " of %" PRIu64 " bytes are sent", upload->image_id,
              upload->sent_bytes, upload->source.size_bytes);
    if (r < 0 && failure == HTTP_FAILED_SOURCE)
        return r;
    if (r < 0) {
        r = glance_no_answer(&call, failure, err);
        return http_failure_is_transient(failure) ? upload_settle(upload, false, err) : r;
    }
    failpoint("upload:sent");
    unsigned status = response.status;
    upload->retry_after_ms = http_response_retry_after_ms(&response);
    if (status / 100 != 2)
        (void)glance_refused(&call, &response, err);
    http_response_done(&response);
    return status / 100 == 2 ? upload_settle(upload, true, err) : upload_judge(upload, status, err);
}

static int upload_run(struct upload *upload, struct error *err)
{
    struct image_source *source = &upload->source;
    struct error failed = ERROR_INIT;
    upload->retry = glance_begin_attempts(upload->glance);
    failpoint("upload:started");
    int r = upload_attempt(upload, &failed);
    while (r == UPLOAD_AGAIN && retry_wait(&upload->retry, upload->retry_after_ms)) {
        log_debug("image %s: the upload begins again: %s", upload->image_id, failed.message);
        r = source->ops->rewind(source, &failed);
        if (r == 0)
            r = upload_attempt(upload, &failed);
    }
    if (r == 0)
        return 0;
    if (r == UPLOAD_AGAIN)
        (void)cancel_check(&failed);
    *err = failed;
    return -err->errnum;
}

static ssize_t read_hashed(struct image_source *source, void *buffer, size_t length,
                           struct error *err)
{
    struct upload *upload = (struct upload *)source;
    struct image_source *hashed = image_hash_source(upload->hash);
    const uint64_t half_bytes = source->size_bytes / 2;
    bool first_half = upload->sent_bytes < half_bytes;
    ssize_t n = hashed->ops->read(hashed, buffer, length, err);
    if (n > 0)
        upload->sent_bytes += (uint64_t)n;
    if (first_half && upload->sent_bytes >= half_bytes)
        failpoint("upload:half-sent");
    return n;
}

static int rewind_hashed(struct image_source *source, struct error *err)
{
    struct upload *upload = (struct upload *)source;
    struct image_source *hashed = image_hash_source(upload->hash);
    upload->sent_bytes = 0;
    return hashed->ops->rewind(hashed, err);
}

/* The hash's owner closes it. */
static void close_hashed(struct image_source *source)
{
    (void)source;
}

int glance_upload_verified(struct glance *glance, const struct request_context *context,
                           const char *image_id, struct image_source *source, struct error *err)
{
    static const struct image_source_ops ops = {
        .read = read_hashed, .rewind = rewind_hashed, .close = close_hashed};
    struct upload upload = {.source = {.ops = &ops, .size_bytes = source->size_bytes},
                            .glance = glance,
                            .context = context,
                            .image_id = image_id};
    int r = image_hash_new(source, &upload.hash, err);
    if (r < 0)
        return r;
    r = upload_run(&upload, err);
    if (r == 0) {
        log_debug("image %s: active, and what was sent", image_id);
        failpoint("upload:verified");
    }
    image_hash_free(upload.hash);
    return r;
}

int glance_image_upload(struct glance *glance, const struct request_context *context,
                        const char *image_id, struct image_source *source, struct error *err)
{
    int r = glance_check_image_id(image_id, err);
    if (r < 0)
        return r;
    if (source->size_bytes == 0)
        return error_set(err, EINVAL, EXC_IMAGE_UPLOAD_FAILED,
                         "upload of image %s refused: it has no data", image_id);
    return glance_upload_verified(glance, context, image_id, source, err);
}
