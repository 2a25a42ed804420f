/* Waiting for what Glance makes of an image's data. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "common/retry.h"
#include "glance_client/glance_int.h"

#define POLLS 150

static bool is_one_of(const char *status, const char *const *statuses)
{
    for (; *statuses; statuses++)
        if (strcmp(status, *statuses) == 0)
            return true;
    return false;
}

int glance_image_settle(struct glance *glance, const struct request_context *context,
                        const char *image_id, const char *const *passing,
                        struct glance_image *ret_image, struct error *err)
{
    const unsigned interval_ms = glance->poll_interval_ms;
    const struct retry_policy policy = {POLLS, interval_ms / 8, interval_ms, UINT_MAX};
    struct retry retry = retry_begin(&policy);
    bool again;
    do {
        struct glance_image image;
        int r = glance_image_get(glance, context, image_id, &image, err);
        if (r < 0)
            return r;
        if (!is_one_of(image.status, passing)) {
            *ret_image = image;
            return 0;
        }
        again = retry_wait(&retry, 0);
        if (!again)
            (void)error_set(err, EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED,
                            "upload of image %s failed: Glance goes on saving it (status '%.32s')",
                            image_id, image.status);
        glance_image_done(&image);
    } while (again);
    return -EREMOTEIO;
}

int glance_image_lost(const struct glance_image *image, struct error *err)
{
    if (strcmp(image->status, "deleted") == 0 || strcmp(image->status, "pending_delete") == 0)
        return error_set(err, ENOENT, EXC_IMAGE_NOT_FOUND, "Image %s could not be found",
                         image->id);
    return error_set(err, EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED,
                     "upload of image %s failed: its status is '%.32s'", image->id, image->status);
}
