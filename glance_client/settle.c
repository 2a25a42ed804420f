/* SPDX-License-Identifier: Apache-2.0 */
/* Giving an image its data: how often that is tried, and waiting for what Glance makes of it. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "common/cancel.h"
#include "common/log.h"
#include "glance_client/glance_int.h"

#define POLLS 150
#define PATIENCE_MS 300000
#define ATTEMPTS_MAX 3
#define MAX_DELAY_MS 30000

unsigned glance_patience_ms(const struct glance *glance)
{
    return glance->stall_ms > PATIENCE_MS ? glance->stall_ms : PATIENCE_MS;
}

struct retry glance_begin_attempts(const struct glance *glance)
{
    const unsigned attempts = glance->num_retries + 1;
    const struct retry_policy policy = {attempts < ATTEMPTS_MAX ? attempts : ATTEMPTS_MAX,
                                        http_client_retry_delay_ms(glance->http), MAX_DELAY_MS,
                                        UINT_MAX};
    return retry_begin(&policy);
}

static bool is_away(const struct error *failed)
{
    return error_is(failed, EXC_GLANCE_CONNECTION_FAILED) || failed->http_status / 100 == 5;
}

int glance_image_settle(struct glance *glance, const struct request_context *context,
                        const struct glance_wait *wait, struct glance_image *ret_image,
                        struct error *err)
{
    const unsigned interval_ms = glance->poll_interval_ms;
    const struct retry_policy policy = {POLLS, interval_ms / 8, interval_ms, wait->patience_ms};
    struct retry retry = retry_begin(&policy);
    struct error failed = ERROR_INIT;
    do {
        struct glance_image image;
        int r = glance_image_get(glance, context, wait->image_id, &image, &failed);
        if (r == 0 && !glance_is_one_of(image.status, wait->passing)) {
            *ret_image = image;
            return 0;
        }
        if (r == 0) {
            (void)error_set(&failed, EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED,
                            "upload of image %s failed: Glance goes on saving it (status '%.32s')",
                            wait->image_id, image.status);
            log_debug("image %s: status is still '%.32s', will look again", wait->image_id,
                      image.status);
            glance_image_done(&image);
        } else if (!is_away(&failed)) {
            break;
        } else {
            log_debug("image %s: Glance failed, will look again: %s", wait->image_id,
                      failed.message);
        }
    } while (retry_wait(&retry, 0));
    (void)cancel_check(&failed);
    *err = failed;
    return -err->errnum;
}

int glance_image_lost(const struct glance_image *image, struct error *err)
{
    if (strcmp(image->status, "deleted") == 0 || strcmp(image->status, "pending_delete") == 0)
        return error_set(err, ENOENT, EXC_IMAGE_NOT_FOUND, "Image %s could not be found",
                         image->id);
    return error_set(err, EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED,
                     "upload of image %s failed: its status is '%.32s'", image->id, image->status);
}
