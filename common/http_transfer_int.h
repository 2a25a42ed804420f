/* SPDX-License-Identifier: Apache-2.0 */
/* A request on its way, and the part of it that sends image data. For the thread that runs it. */
#pragma once

#include <curl/curl.h>
#include <stdint.h>

#include "common/http_head.h"
#include "common/http_transfer.h"

struct http_transfer {
    const struct http_request *request;
    char *body;
    size_t body_bytes, body_capacity;
    bool too_large, no_memory;
    struct http_head head;
    bool head_failed;
    struct error head_err;

    uint64_t read_bytes; /* taken from the source */
    bool source_failed;
    struct error source_err;

    uint64_t window_start_ms; /* sending: a stall is too little in one window */
    curl_off_t window_start_bytes;
    uint64_t sent_ms;      /* when the last byte had been sent, 0 before */
    const char *exhausted; /* the limit that passed */
    char curl_message[CURL_ERROR_SIZE];
};

/*
 * Sets what sends request->source: the callbacks that read it and that give up when it stalls or no
 * answer comes. False when libcurl has no memory for it.
 */
bool http_upload_set(CURL *easy, struct http_transfer *transfer);
