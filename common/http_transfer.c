/* SPDX-License-Identifier: Apache-2.0 */
/* See http_transfer.h. */
#include "common/http_transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/http_transfer_int.h"

#define CONNECT_TIMEOUT_MS 10000

static size_t receive_body(char *data, size_t size, size_t count, void *opaque)
{
    struct http_transfer *transfer = opaque;
    size_t length = size * count;
    if (length > HTTP_BODY_MAX_BYTES - transfer->body_bytes) {
        transfer->too_large = true;
        return 0;
    }
    size_t needed = transfer->body_bytes + length + 1;
    if (needed > transfer->body_capacity) {
        size_t capacity = needed < 4096 ? 4096 : needed * 2;
        char *larger = realloc(transfer->body, capacity);
        if (!larger) {
            transfer->no_memory = true;
            return 0;
        }
        transfer->body = larger;
        transfer->body_capacity = capacity;
    }
    memcpy(transfer->body + transfer->body_bytes, data, length);
    transfer->body_bytes += length;
    transfer->body[transfer->body_bytes] = '\0';
    return length;
}

static size_t receive_head(char *line, size_t size, size_t count, void *opaque)
{
    struct http_transfer *transfer = opaque;
    size_t length = size * count;
    transfer->head_failed = http_head_add(&transfer->head, line, length, &transfer->head_err) < 0;
    return transfer->head_failed ? 0 : length;
}

static bool set_protocols(CURL *handle)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    return curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
#else
    return curl_easy_setopt(handle, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS)) ==
           CURLE_OK;
#endif
}

static bool set_quick_exit(CURL *handle)
{
#if HTTP_HAS_QUICK_EXIT
    return curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK;
#else
    (void)handle;
    return true;
#endif
}

static bool set_common(CURL *handle, const struct http_transfer_options *options,
                       struct http_transfer *transfer, const struct curl_slist *headers)
{
    const struct http_request *request = transfer->request;
    return curl_easy_setopt(handle, CURLOPT_URL, request->url) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_USERAGENT, "nova-snapshot-agent/" VERSION) ==
               CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           set_protocols(handle) && set_quick_exit(handle) &&
           curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, options->unix_socket) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_NOPROXY, "*") == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS) ==
               CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_TCP_KEEPIDLE, 60L) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_TCP_KEEPINTVL, 15L) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, transfer->curl_message) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, receive_head) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_HEADERDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, receive_body) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) ==
               CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, options->insecure ? 0L : 1L) ==
               CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, options->insecure ? 0L : 2L) ==
               CURLE_OK;
}

/* Of a file or a folder, as python-requests; the other option would leave the system's trusted. */
static bool set_authority(CURL *handle, const char *cafile)
{
    struct stat st;
    bool is_folder = stat(cafile, &st) == 0 && S_ISDIR(st.st_mode);
    return curl_easy_setopt(handle, CURLOPT_CAINFO, is_folder ? NULL : cafile) == CURLE_OK &&
           curl_easy_setopt(handle, CURLOPT_CAPATH, is_folder ? cafile : NULL) == CURLE_OK;
}

static bool set_certificates(CURL *handle, const struct http_transfer_options *options)
{
    /* As python-requests: a certfile alone holds the key too. */
    const char *keyfile = options->keyfile ? options->keyfile : options->certfile;
    return (!options->cafile || set_authority(handle, options->cafile)) &&
           (!options->certfile ||
            (curl_easy_setopt(handle, CURLOPT_SSLCERT, options->certfile) == CURLE_OK &&
             curl_easy_setopt(handle, CURLOPT_SSLKEY, keyfile) == CURLE_OK));
}

static bool set_body(CURL *handle, const struct http_transfer_options *options,
                     struct http_transfer *transfer)
{
    const struct http_request *request = transfer->request;
    unsigned total_ms = options->timeout_ms;
    if (request->total_ms != 0 && request->total_ms < total_ms)
        total_ms = request->total_ms;
    return curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)total_ms) == CURLE_OK &&
           (!request->body ||
            (curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE,
                              (curl_off_t)request->body_bytes) == CURLE_OK &&
             curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->body) == CURLE_OK));
}

/* Of a head beyond libcurl's limits. */
static bool is_too_large(CURLcode code)
{
#if LIBCURL_VERSION_NUM >= 0x080600
    if (code == CURLE_TOO_LARGE)
        return true;
#endif
    return code == CURLE_OUT_OF_MEMORY;
}

static enum http_failure classify_failure(CURL *handle, CURLcode code,
                                          const struct http_transfer *transfer)
{
    if (transfer->source_failed)
        return HTTP_FAILED_SOURCE;
    if (transfer->too_large || transfer->head_failed)
        return HTTP_FAILED_SIZE;
    if (transfer->exhausted)
        return HTTP_FAILED_TIMEOUT;
    /* The cases below are those of a CURLcode that tell something; the rest is `default`. */
    switch ((int)code) {
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
#if LIBCURL_VERSION_NUM >= 0x074d00
    case CURLE_SSL_CLIENTCERT:
#endif
        return HTTP_FAILED_TLS;
    case CURLE_URL_MALFORMAT:
    case CURLE_FAILED_INIT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return HTTP_FAILED_REQUEST;
    default:
        break;
    }
    long sent_bytes = 0; /* times of what never began are 0 in some releases only */
    (void)curl_easy_getinfo(handle, CURLINFO_REQUEST_SIZE, &sent_bytes);
    if (is_too_large(code))
        return sent_bytes == 0 ? HTTP_FAILED_REQUEST : HTTP_FAILED_SIZE;
    if (sent_bytes == 0)
        return HTTP_FAILED_CONNECT;
    return code == CURLE_OPERATION_TIMEDOUT ? HTTP_FAILED_TIMEOUT : HTTP_FAILED_ANSWER;
}

static int explain_failure(const struct http_transfer *transfer, enum http_failure failure,
                           CURLcode code, struct error *err)
{
    static const int errnums[] = {
        [HTTP_FAILED_REQUEST] = EINVAL,    [HTTP_FAILED_CONNECT] = ECONNREFUSED,
        [HTTP_FAILED_TLS] = EPROTO,        [HTTP_FAILED_ANSWER] = ECONNRESET,
        [HTTP_FAILED_TIMEOUT] = ETIMEDOUT, [HTTP_FAILED_SIZE] = EMSGSIZE,
        [HTTP_FAILED_SOURCE] = EIO,
    };
    if (failure == HTTP_FAILED_SOURCE) {
        *err = transfer->source_err;
        return -err->errnum;
    }
    if (transfer->head_failed) {
        *err = transfer->head_err;
        return -err->errnum;
    }
    if (transfer->no_memory || (failure == HTTP_FAILED_REQUEST && code == CURLE_OUT_OF_MEMORY))
        return error_nomem(err);
    const char *text = transfer->exhausted;
    if (failure == HTTP_FAILED_SIZE)
        text = transfer->too_large ? "the answer is larger than 8 MiB"
                                   : "the answer's head is too large";
    else if (!text)
        text =
            transfer->curl_message[0] != '\0' ? transfer->curl_message : curl_easy_strerror(code);
    return error_set(err, errnums[failure], EXC_INTERNAL_ERROR, "%s %.400s: %s",
                     transfer->request->method, transfer->request->url, text);
}

/* Takes transfer->body and what was in the head. */
static int make_response(CURL *handle, struct http_transfer *transfer,
                         struct http_response *ret_response, struct error *err)
{
    long status = 0;
    (void)curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    struct http_response response = transfer->head.answer;
    transfer->head.answer = (struct http_response){0};
    response.status = (unsigned)status;
    response.body_bytes = transfer->body_bytes;
    response.body = transfer->body ? TAKE_PTR(transfer->body) : strdup("");
    if (!response.body) {
        http_response_done(&response);
        return error_nomem(err);
    }
    if (response.status / 100 != 2)
        http_response_strip(&response);
    *ret_response = response;
    return 0;
}

static bool set_options(CURL *easy, const struct http_transfer_options *options,
                        struct http_transfer *transfer, const struct curl_slist *headers)
{
    return set_common(easy, options, transfer, headers) && set_certificates(easy, options) &&
           (transfer->request->source ? http_upload_set(easy, transfer)
                                      : set_body(easy, options, transfer));
}

/* With the options set. */
static int run_transfer(struct http_handle *handle, struct http_transfer *transfer,
                        struct http_response *ret_response, enum http_failure *ret_failure,
                        struct error *err)
{
    CURLcode code = CURLE_OK;
    *ret_failure = HTTP_FAILED_CANCELED;
    int r = http_handle_run(handle, &code, err);
    if (r < 0)
        return r;
    if (code != CURLE_OK) {
        *ret_failure = classify_failure(handle->easy, code, transfer);
        return explain_failure(transfer, *ret_failure, code, err);
    }
    *ret_failure = HTTP_FAILED_SIZE; /* there was an answer, but it cannot be kept */
    return make_response(handle->easy, transfer, ret_response, err);
}

int http_transfer_run(struct http_handle *handle, const struct http_transfer_options *options,
                      const struct http_request *request, struct http_response *ret_response,
                      enum http_failure *ret_failure, struct error *err)
{
    struct http_transfer transfer = {.request = request, .window_start_ms = clock_now_ms()};
    struct curl_slist *headers = NULL;
    *ret_failure = HTTP_FAILED_REQUEST;
    int r = http_request_make_headers(request, &headers, err);
    if (r < 0)
        return r;
    r = set_options(handle->easy, options, &transfer, headers)
            ? run_transfer(handle, &transfer, ret_response, ret_failure, err)
            : error_nomem(err);
    curl_easy_reset(handle->easy); /* it points to what goes now */
    http_request_free_headers(headers);
    http_response_done(&transfer.head.answer);
    if (transfer.body)
        explicit_bzero(transfer.body, transfer.body_bytes);
    free(transfer.body);
    return r;
}
