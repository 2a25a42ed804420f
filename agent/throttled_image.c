/* SPDX-License-Identifier: Apache-2.0 */
/* See throttled_image.h. */
#include "agent/throttled_image.h"

#include "common/metric.h"

static ssize_t throttled_read(struct image_source *source, void *buffer, size_t length,
                              struct error *err)
{
    struct throttled_image *throttled = (struct throttled_image *)source;
    struct image_source *image = throttled->image;
    ssize_t n = image->ops->read(image, buffer, length, err);
    if (n <= 0)
        return n;
    int r = throttle_take(throttled->own, (uint64_t)n, err);
    if (r == 0)
        r = throttle_take(throttled->disk, (uint64_t)n, err);
    for (size_t i = 0; r == 0 && i < SHARED_THROTTLES; i++)
        r = throttle_take(throttled->shared[i], (uint64_t)n, err);
    if (r < 0)
        return r;
    throttled->read_bytes += (uint64_t)n;
    metric_add(METRIC_SENT_BYTES, 0, n);
    jobs_set_progress(throttled->job, throttled->read_bytes, source->size_bytes);
    return n;
}

static int throttled_rewind(struct image_source *source, struct error *err)
{
    struct throttled_image *throttled = (struct throttled_image *)source;
    struct image_source *image = throttled->image;
    throttled->read_bytes = 0;
    return image->ops->rewind(image, err);
}

static void throttled_close(struct image_source *source)
{
    (void)source;
}

int throttled_image_begin(struct throttled_image *throttled, struct image_source *image,
                          struct job *job, uint64_t bytes_per_s, uint64_t disk_bytes_per_s,
                          struct error *err)
{
    static const struct image_source_ops ops = {
        .read = throttled_read, .rewind = throttled_rewind, .close = throttled_close};
    *throttled = (struct throttled_image){
        .base = {.ops = &ops, .size_bytes = image->size_bytes}, .image = image, .job = job};
    int r = throttle_new(bytes_per_s, &throttled->own, err);
    if (r == 0)
        r = throttle_new(disk_bytes_per_s, &throttled->disk, err);
    jobs_set_throttle(job, JOB_UPLOAD, throttled->own);
    return r;
}

void throttled_image_done(struct throttled_image *throttled)
{
    jobs_set_throttle(throttled->job, JOB_UPLOAD, NULL);
    jobs_set_throttle(throttled->job, JOB_DISK, NULL);
    throttle_free(throttled->own);
    throttle_free(throttled->disk);
}
