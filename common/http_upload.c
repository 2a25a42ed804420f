/* SPDX-License-Identifier: Apache-2.0 */
/* Image data on its way to a server. See http_transfer_int.h; limits: struct http_request. */
#include <errno.h>

#include "common/clock.h"
#include "common/http_transfer_int.h"

#define EXPECT_TIMEOUT_MS 10000
#define STALL_BYTES_PER_S 1024
#define UPLOAD_BUFFER_BYTES (1L << 20)

static size_t read_source(char *buffer, size_t size, size_t count, void *opaque)
{
    struct http_transfer *transfer = opaque;
    struct image_source *source = transfer->request->source;
    uint64_t left = source->size_bytes - transfer->read_bytes;
    if (left == 0)
        return 0;
    size_t length = size * count < left ? size * count : (size_t)left;
    uint64_t before_ms = clock_now_ms();
    ssize_t n = source->ops->read(source, buffer, length, &transfer->source_err);
    transfer->window_start_ms += clock_now_ms() - before_ms; /* not the network's fault */
    if (n == 0)
        (void)error_set(&transfer->source_err, EIO, EXC_INTERNAL_ERROR,
                        "the image data ended after %llu of %llu bytes",
                        (unsigned long long)transfer->read_bytes,
                        (unsigned long long)source->size_bytes);
    if (n <= 0) {
        transfer->source_failed = true;
        return CURL_READFUNC_ABORT;
    }
    transfer->read_bytes += (uint64_t)n;
    return (size_t)n;
}

static bool is_stalled(struct http_transfer *transfer, curl_off_t sent_bytes, uint64_t now_ms)
{
    const unsigned stall_ms = transfer->request->stall_ms;
    curl_off_t wanted = (curl_off_t)STALL_BYTES_PER_S * stall_ms / 1000;
    if (sent_bytes < transfer->window_start_bytes ||
        sent_bytes - transfer->window_start_bytes >= wanted) {
        transfer->window_start_bytes = sent_bytes;
        transfer->window_start_ms = now_ms;
    }
    return now_ms >= transfer->window_start_ms + stall_ms;
}

/* Called by libcurl at least twice a second. */
static int watch_upload(void *opaque, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal,
                        curl_off_t ulnow)
{
    (void)dltotal, (void)dlnow, (void)ultotal;
    struct http_transfer *transfer = opaque;
    const struct http_request *request = transfer->request;
    uint64_t now_ms = clock_now_ms();
    if ((uint64_t)ulnow < request->source->size_bytes) {
        if (is_stalled(transfer, ulnow, now_ms))
            transfer->exhausted = "the upload stalled";
    } else {
        if (transfer->sent_ms == 0)
            transfer->sent_ms = now_ms;
        if (now_ms - transfer->sent_ms >= request->answer_ms)
            transfer->exhausted = "all was sent, but no answer came in time";
    }
    return transfer->exhausted != NULL;
}

bool http_upload_set(CURL *easy, struct http_transfer *transfer)
{
    const struct http_request *request = transfer->request;
    unsigned expect_ms = request->stall_ms / 2;
    if (expect_ms > EXPECT_TIMEOUT_MS)
        expect_ms = EXPECT_TIMEOUT_MS;
    return curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
                            (curl_off_t)request->source->size_bytes) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_READFUNCTION, read_source) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_READDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, (long)expect_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, watch_upload) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_XFERINFODATA, transfer) == CURLE_OK;
}
